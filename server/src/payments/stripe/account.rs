//! The account at Stripe: its keys, and the origins of its pages.

use domain::{AppError, Secret};
use store::payments::provider::out_of_reach;

use crate::payments::client::{Api, Failure};

/// The URL of Stripe's API, unless a test overrides it.
pub const API: &str = "https://api.stripe.com";
/// The origins of Stripe's pages.
const PAGES: [&str; 2] = ["https://checkout.stripe.com", "https://billing.stripe.com"];

#[derive(Debug)]
pub struct Stripe {
    pub(super) api: Api,
    pub(super) webhook_secret: Secret,
    pub(super) origins: Vec<String>,
}

impl Stripe {
    /// `base` is the URL of Stripe's API or of a substitute.
    pub fn new(base: &str, key: Secret, webhook_secret: Secret) -> Self {
        let origins = if base == API {
            PAGES.map(str::to_owned).to_vec()
        } else {
            vec![base.to_owned()]
        };
        Self {
            api: Api::new(base, key),
            webhook_secret,
            origins,
        }
    }
}

/// Logs the failure and returns the error for the user.
pub(super) fn failed(doing: &str) -> impl Fn(Failure) -> AppError {
    move |failure| {
        tracing::error!(%failure, "{doing} at Stripe failed");
        out_of_reach()
    }
}
