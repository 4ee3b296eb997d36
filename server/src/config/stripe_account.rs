//! The credentials for Stripe, and how they are validated.

use domain::Secret;

use super::error::ConfigError;
use crate::options::Options;
use crate::payments::stripe::API;

/// The credentials for Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeAccount {
    pub secret_key: Secret,
    pub webhook_secret: Secret,
    /// Without a slash at the end.
    pub api_base: String,
}

/// Both secrets are required together: with only one, Wheelhouse would take payments without fulfilling them, or the
/// reverse.
pub(super) fn stripe(options: &Options) -> Result<Option<StripeAccount>, ConfigError> {
    const KEY: &str = "WHEELHOUSE_STRIPE_SECRET_KEY";
    const HOOK: &str = "WHEELHOUSE_STRIPE_WEBHOOK_SECRET";
    const BASE: &str = "WHEELHOUSE_STRIPE_API_BASE";
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let base = given(&options.stripe_api_base);
    let (secret_key, webhook_secret) = match (
        given(&options.stripe_secret_key),
        given(&options.stripe_webhook_secret),
    ) {
        (Some(key), Some(hook)) => (key, hook),
        (Some(_), None) => {
            return Err(ConfigError::new(
                HOOK,
                format!("must also be set, because {KEY} is set"),
            ));
        }
        (None, Some(_)) => {
            return Err(ConfigError::new(
                KEY,
                format!("must also be set, because {HOOK} is set"),
            ));
        }
        (None, None) if base.is_some() => {
            return Err(ConfigError::new(
                KEY,
                format!("must also be set, because {BASE} is set"),
            ));
        }
        (None, None) => return Ok(None),
    };
    if !secret_key.starts_with("sk_") && !secret_key.starts_with("rk_") {
        return Err(ConfigError::new(
            KEY,
            "must start with sk_ or rk_, like every secret key of Stripe",
        ));
    }
    if !webhook_secret.starts_with("whsec_") {
        return Err(ConfigError::new(
            HOOK,
            "must start with whsec_, like every signing secret of Stripe",
        ));
    }
    if secret_key.chars().any(|c| !c.is_ascii_graphic()) {
        return Err(ConfigError::new(
            KEY,
            "contains characters that no key contains; copy the key from Stripe again",
        ));
    }
    let api_base = base.map_or_else(|| Ok(API.to_owned()), |base| api_base(BASE, &base))?;
    Ok(Some(StripeAccount {
        secret_key: Secret::from(secret_key),
        webhook_secret: Secret::from(webhook_secret),
        api_base,
    }))
}

/// Stripe's key is sent there, so plain HTTP is only allowed on this machine.
fn api_base(variable: &'static str, text: &str) -> Result<String, ConfigError> {
    let error = || {
        let problem = "must be a URL like https://api.stripe.com without a path, or an http:// URL on this machine";
        ConfigError::new(variable, problem)
    };
    let url = url::Url::parse(text).map_err(|_| error())?;
    let here = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if plain && (url.scheme() == "https" || url.scheme() == "http" && here) {
        Ok(url.origin().ascii_serialization())
    } else {
        Err(error())
    }
}
