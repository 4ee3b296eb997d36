//! Stripe. Purchases are paid on Checkout, which stores the subscriber's card; renewals and changes are then charged to
//! it off-session. Wheelhouse keeps the calendar: Stripe has no plans and no subscriptions.
//!
//! A thin client of our own instead of `async-stripe`: a handful of calls, each reading a few response fields.
//! docs/payments.md compares the two.

mod account;
mod customers;
mod objects;
mod search;

pub use account::{API, Stripe};

use async_trait::async_trait;
use domain::payments::{CURRENCY, PaymentPurpose, PaymentStatus, ReversalKind, ReversalStatus};
use domain::{AppError, Money, PaymentId, Secret, Timestamp, WorkspaceId};
use store::payments::provider::{
    Checkout, Order, PaymentOutcome, Provider, ProviderContext, Reference, Refunded, Reversal,
    out_of_reach,
};
use store::payments::stripe_customers;
use store::payments::{PaymentRow, by_intent, purpose, remember_intent};

use self::account::failed;
use self::objects::{Charge, PaymentIntent, Portal, Refund, Session};
use super::client::Failure;

/// How many deleted workspaces to process in one round.
const BATCH_SIZE: u64 = 20;

/// Saves a payment's Stripe ID, unless it is known.
async fn remember(
    ctx: ProviderContext<'_>,
    payment: PaymentId,
    intent: &str,
) -> Result<(), AppError> {
    let tx = ctx.db().begin().await?;
    remember_intent(&tx, payment, intent).await?;
    tx.commit().await?;
    Ok(())
}

/// Whether it is paid on a page instead of with a saved card.
fn has_page(purpose: &PaymentPurpose) -> bool {
    matches!(
        purpose,
        PaymentPurpose::Credits { .. } | PaymentPurpose::Subscribe { .. }
    )
}

fn key(what: &str, payment: PaymentId) -> String {
    format!("{what}-{payment}")
}

#[async_trait]
impl Provider for Stripe {
    async fn checkout(
        &self,
        ctx: ProviderContext<'_>,
        order: &Order,
    ) -> Result<Checkout, AppError> {
        let customer = self.customer(ctx, order.workspace).await?.customer_id;
        self.update_customer(ctx, order.workspace, &customer)
            .await?;
        let (payment, back) = (order.payment.to_string(), ctx.url(&order.return_path));
        let mut fields = vec![
            ("mode", "payment".to_owned()),
            ("client_reference_id", payment.clone()),
            ("customer", customer),
            ("line_items[0][quantity]", "1".to_owned()),
            ("line_items[0][price_data][currency]", CURRENCY.to_owned()),
            (
                "line_items[0][price_data][unit_amount]",
                order.amount.cents().to_string(),
            ),
            (
                "line_items[0][price_data][product_data][name]",
                order.description.clone(),
            ),
            (
                "payment_intent_data[description]",
                order.description.clone(),
            ),
            ("payment_intent_data[metadata][payment]", payment),
            ("success_url", back.clone()),
            ("cancel_url", back),
        ];
        if order.keeps_card {
            fields.push((
                "payment_intent_data[setup_future_usage]",
                "off_session".to_owned(),
            ));
        }
        let once = key("checkout", order.payment);
        let session: Result<Session, Failure> = self
            .api
            .post("/v1/checkout/sessions", Some(&once), &fields)
            .await;
        if let Err(Failure::Refused { why, .. }) = &session
            && why.contains("resource_missing")
        {
            // Deleted by somebody on Stripe's own pages: the next attempt creates another.
            stripe_customers::delete(ctx.db(), order.workspace).await?;
        }
        let session = session.map_err(failed("opening a page to pay on"))?;
        let url = session.url.ok_or_else(out_of_reach)?;
        Ok(Checkout {
            id: session.id,
            url,
        })
    }

    async fn charge(
        &self,
        ctx: ProviderContext<'_>,
        order: &Order,
    ) -> Result<PaymentOutcome, AppError> {
        let customer = self.customer(ctx, order.workspace).await?;
        self.set_default_card(ctx, &customer).await?;
        let customer = customer.customer_id;
        let card = self
            .card(&customer)
            .await
            .map_err(failed("looking for a card"))?;
        let Some(card) = card else {
            return Ok(PaymentStatus::Declined.into());
        };
        let fields = vec![
            ("amount", order.amount.cents().to_string()),
            ("currency", CURRENCY.to_owned()),
            ("customer", customer),
            ("payment_method", card),
            ("description", order.description.clone()),
            ("metadata[charge]", order.payment.to_string()),
            // The buyer is not present for a redirect; without this field Stripe requires a return URL.
            ("automatic_payment_methods[enabled]", "true".to_owned()),
            (
                "automatic_payment_methods[allow_redirects]",
                "never".to_owned(),
            ),
            ("off_session", "true".to_owned()),
            ("confirm", "true".to_owned()),
        ];
        let intent: Result<PaymentIntent, Failure> = self
            .api
            .post(
                "/v1/payment_intents",
                Some(&key("charge", order.payment)),
                &fields,
            )
            .await;
        match intent {
            Ok(intent) => {
                remember(ctx, order.payment, &intent.id).await?;
                Ok(intent.fate())
            }
            Err(Failure::Declined) => Ok(PaymentStatus::Declined.into()),
            Err(failure) => Err(failed("charging a card")(failure)),
        }
    }

    async fn manage(
        &self,
        ctx: ProviderContext<'_>,
        workspace: WorkspaceId,
        return_path: &str,
    ) -> Result<String, AppError> {
        let customer = self.customer(ctx, workspace).await?;
        self.set_default_card(ctx, &customer).await?;
        let fields = vec![
            ("customer", customer.customer_id),
            ("return_url", ctx.url(return_path)),
        ];
        let portal: Portal = self
            .api
            .post("/v1/billing_portal/sessions", None, &fields)
            .await
            .map_err(failed("opening the portal"))?;
        Ok(portal.url)
    }

    async fn fetch_status(
        &self,
        ctx: ProviderContext<'_>,
        payment: &PaymentRow,
    ) -> Result<Option<PaymentOutcome>, AppError> {
        if !has_page(&purpose(payment)?) {
            let Some(intent) = self.charged(ctx, payment).await? else {
                return Ok(None);
            };
            remember(ctx, payment.id, &intent.id).await?;
            return Ok(Some(intent.fate()));
        }
        let session = if let Some(id) = &payment.checkout_id {
            self.session(id).await
        } else {
            let customer = stripe_customers::find(ctx.db(), payment.workspace_id).await?;
            // No page is opened before Stripe has a customer.
            let Some(customer) = customer else {
                return Ok(None);
            };
            let id = payment.id.to_string();
            let ours = |session: &Session| session.client_reference_id.as_ref() == Some(&id);
            self.find(
                "/v1/checkout/sessions",
                &customer.customer_id,
                payment,
                ours,
            )
            .await
        };
        let session = session.map_err(failed("looking for a payment"))?;
        let intent = session.as_ref().and_then(|one| one.payment_intent.as_ref());
        if let Some(intent) = intent.filter(|_| payment.intent_id.is_none()) {
            remember(ctx, payment.id, &intent.id).await?;
        }
        Ok(session.map(|session| session.fate()))
    }

    async fn refund(
        &self,
        ctx: ProviderContext<'_>,
        payment: &PaymentRow,
        amount: Money,
        once: &str,
    ) -> Result<Refunded, AppError> {
        let intent = match &payment.checkout_id {
            Some(id) => {
                let session = self
                    .session(id)
                    .await
                    .map_err(failed("looking for a payment"))?;
                session.and_then(|session| session.payment_intent)
            }
            None => self.charged(ctx, payment).await?,
        };
        let intent = intent.ok_or(AppError::NotFound)?;
        let fields = vec![
            ("payment_intent", intent.id),
            ("amount", amount.cents().to_string()),
            ("expand[]", "charge".to_owned()),
        ];
        let refund: Refund = self
            .api
            .post("/v1/refunds", Some(once), &fields)
            .await
            .map_err(failed("paying back"))?;
        let undone = matches!(refund.status.as_deref(), Some("failed" | "canceled"));
        let at = refund.created.map_or_else(Timestamp::now, |second| {
            Timestamp::from_millis(second.saturating_mul(1000))
        });
        Ok(Refunded {
            refund: Reversal {
                id: refund.id,
                kind: ReversalKind::Refund,
                status: ReversalStatus::refund(undone),
                amount: Money::from_cents(refund.amount),
                begun_at: at,
                reported_at: at,
            },
            total: Money::from_cents(refund.charge.amount_refunded),
        })
    }

    async fn whose(
        &self,
        ctx: ProviderContext<'_>,
        reference: &Reference,
    ) -> Result<Option<PaymentId>, AppError> {
        let mut intent = reference.intent.clone();
        if let (None, Some(charge)) = (&intent, &reference.charge) {
            let Some(charge): Option<Charge> = self.known("/v1/charges", charge).await? else {
                return Ok(None);
            };
            if let Some(payment) = charge.metadata.ours() {
                return Ok(Some(payment));
            }
            intent = charge.payment_intent.map(|intent| intent.id);
        }
        let Some(intent) = intent else {
            return Ok(None);
        };
        if let Some(payment) = by_intent(ctx.db(), &intent).await? {
            return Ok(Some(payment));
        }
        let intent: Option<PaymentIntent> = self.known("/v1/payment_intents", &intent).await?;
        Ok(intent.and_then(|intent| intent.metadata.ours()))
    }

    fn signing_secret(&self) -> Secret {
        self.webhook_secret.clone()
    }

    fn origins(&self) -> &[String] {
        &self.origins
    }

    async fn delete_orphaned_customers(&self, ctx: ProviderContext<'_>) -> Result<(), AppError> {
        let gone = stripe_customers::orphaned(ctx.db(), BATCH_SIZE).await?;
        for customer in gone {
            let path = format!("/v1/customers/{}", customer.customer_id);
            if let Err(failure) = self.api.delete(&path).await {
                // The next round tries again.
                tracing::warn!(%failure, "the card of a workspace that is gone could not be forgotten at Stripe");
                continue;
            }
            stripe_customers::delete(ctx.db(), customer.workspace_id).await?;
        }
        Ok(())
    }
}
