//! Finds objects at Stripe: by their IDs, or in the lists of a customer.

use domain::{AppError, minutes};
use store::payments::PaymentRow;
use store::payments::provider::ProviderContext;
use store::payments::stripe_customers;

use super::account::{Stripe, failed};
use super::objects::{List, Listed, PaymentIntent, Session};
use crate::payments::client::Failure;

/// How many rows of a list to request at a time: Stripe's maximum.
const A_PAGE: &str = "100";
/// The most pages to read when looking for one payment among a workspace's later ones.
const MAX_PAGES: usize = 20;

impl Stripe {
    /// The Stripe object with this ID; `None` if there is none.
    pub(super) async fn known<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        id: &str,
    ) -> Result<Option<T>, AppError> {
        match self.api.get(&format!("{path}/{id}"), &[]).await {
            Ok(known) => Ok(Some(known)),
            Err(Failure::Missing) => Ok(None),
            Err(failure) => Err(failed("looking for a payment")(failure)),
        }
    }

    pub(super) async fn session(&self, id: &str) -> Result<Option<Session>, Failure> {
        let path = format!("/v1/checkout/sessions/{id}");
        let query = [("expand[]", "payment_intent")];
        match self.api.get(&path, &query).await {
            Ok(session) => Ok(Some(session)),
            Err(Failure::Missing) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The first of a customer's list, newest first, that satisfies `is` and is not older than the payment.
    pub(super) async fn find<T, F>(
        &self,
        path: &str,
        customer: &str,
        payment: &PaymentRow,
        is: F,
    ) -> Result<Option<T>, Failure>
    where
        T: serde::de::DeserializeOwned + Listed,
        F: Fn(&T) -> bool,
    {
        // The two clocks may differ.
        let since = payment.created_at.before(minutes(10)).millis() / 1000;
        let since = since.to_string();
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut query = vec![
                ("customer", customer),
                ("created[gte]", &since),
                ("limit", A_PAGE),
            ];
            if let Some(after) = &after {
                query.push(("starting_after", after));
            }
            let List { data, has_more } = self.api.get(path, &query).await?;
            after = data.last().map(|last: &T| last.id().to_owned());
            let found = data.into_iter().find(|one| is(one));
            if found.is_some() || !has_more {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The charge of a saved card for this payment, if any.
    pub(super) async fn charged(
        &self,
        ctx: ProviderContext<'_>,
        payment: &PaymentRow,
    ) -> Result<Option<PaymentIntent>, AppError> {
        let customer = stripe_customers::find(ctx.db(), payment.workspace_id).await?;
        // No payment is charged before Stripe has a customer.
        let Some(customer) = customer else {
            return Ok(None);
        };
        let id = payment.id.to_string();
        let ours = |intent: &PaymentIntent| intent.metadata.charge.as_ref() == Some(&id);
        self.find("/v1/payment_intents", &customer.customer_id, payment, ours)
            .await
            .map_err(failed("looking for a charge"))
    }
}
