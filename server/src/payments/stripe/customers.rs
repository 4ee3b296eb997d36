//! A workspace's customer at Stripe, and its card.

use domain::{AppError, WorkspaceId};
use store::billing::invoices;
use store::payments::provider::ProviderContext;
use store::payments::stripe_customers::{self, StripeCustomer};

use super::account::{Stripe, failed};
use super::objects::{Customer, List, PaymentMethod};
use crate::payments::client::{Failure, Fields};

impl Stripe {
    /// The workspace's Stripe customer, created on first use.
    pub(super) async fn customer(
        &self,
        ctx: ProviderContext<'_>,
        workspace: WorkspaceId,
    ) -> Result<StripeCustomer, AppError> {
        if let Some(row) = stripe_customers::find(ctx.db(), workspace).await? {
            return Ok(row);
        }
        let once = format!("customer-{workspace}");
        // Constant fields only: the same key must come with the same fields.
        let fields = vec![("metadata[workspace]", workspace.to_string())];
        let made: Customer = self
            .api
            .post("/v1/customers", Some(&once), &fields)
            .await
            .map_err(failed("making a customer"))?;
        stripe_customers::add(ctx.db(), workspace, made.id).await
    }

    /// Updates the customer's receipt name and email at Stripe, if known.
    pub(super) async fn update_customer(
        &self,
        ctx: ProviderContext<'_>,
        workspace: WorkspaceId,
        customer: &str,
    ) -> Result<(), AppError> {
        let details = invoices::details(ctx.db().read(), workspace).await?;
        let mut fields = Fields::new();
        if !details.company.is_empty() {
            fields.push(("name", details.company));
        }
        if !details.email.is_empty() {
            fields.push(("email", details.email));
        }
        if fields.is_empty() {
            return Ok(());
        }
        let path = format!("/v1/customers/{customer}");
        let told: Result<Customer, Failure> = self.api.post(&path, None, &fields).await;
        if let Err(failure) = told {
            // A receipt without a name is no reason to block a sale.
            tracing::warn!(%failure, "a customer could not be named at Stripe");
        }
        Ok(())
    }

    /// Makes the card of the last subscription paid on Checkout the default card, once. Later changes on the portal
    /// stay: the portal cannot be reached before this is done.
    pub(super) async fn set_default_card(
        &self,
        ctx: ProviderContext<'_>,
        customer: &StripeCustomer,
    ) -> Result<(), AppError> {
        let Some(last) =
            stripe_customers::last_that_saved_card(ctx.db(), customer.workspace_id).await?
        else {
            return Ok(());
        };
        let Some(session) = last
            .checkout_id
            .filter(|_| customer.card_of != Some(last.id))
        else {
            return Ok(());
        };
        let session = self
            .session(&session)
            .await
            .map_err(failed("looking for a card"))?;
        let card = session.and_then(|session| session.payment_intent?.payment_method);
        if let Some(card) = card {
            let path = format!("/v1/customers/{}", customer.customer_id);
            let fields = vec![("invoice_settings[default_payment_method]", card)];
            let _: Customer = self
                .api
                .post(&path, None, &fields)
                .await
                .map_err(failed("keeping a card"))?;
        }
        stripe_customers::set_card_of(ctx.db(), customer.workspace_id, last.id).await
    }

    /// The card to charge: the default card, or else the newest.
    pub(super) async fn card(&self, customer: &str) -> Result<Option<String>, Failure> {
        let path = format!("/v1/customers/{customer}");
        let known = match self.api.get::<Customer>(&path, &[]).await {
            Ok(known) if !known.deleted => known,
            Ok(_) | Err(Failure::Missing) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        if let Some(card) = known.invoice_settings.default_payment_method {
            return Ok(Some(card));
        }
        let query = [("customer", customer), ("type", "card"), ("limit", "1")];
        let cards: List<PaymentMethod> = self.api.get("/v1/payment_methods", &query).await?;
        Ok(cards.data.into_iter().next().map(|card| card.id))
    }
}
