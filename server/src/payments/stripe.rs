//! Stripe. Purchases are paid on Checkout, which stores the subscriber's card; renewals and changes are then charged to
//! it off-session. Wheelhouse keeps the calendar: Stripe has no plans and no subscriptions.
//!
//! A thin client of our own instead of `async-stripe`: a handful of calls, each reading a few response fields.
//! docs/payments.md compares the two.

use async_trait::async_trait;
use domain::payments::{CURRENCY, PaymentPurpose, PaymentStatus, ReversalKind, ReversalStatus};
use domain::{AppError, Money, PaymentId, Secret, Timestamp, WorkspaceId, minutes};
use serde::Deserialize;
use store::billing::invoices;
use store::payments::provider::{
    Checkout, Order, PaymentOutcome, Provider, ProviderContext, Reference, Refunded, Reversal,
    out_of_reach,
};
use store::payments::stripe_customers::{self, StripeCustomer};
use store::payments::{PaymentRow, by_intent, purpose, remember_intent};

use super::client::{Api, Failure, Fields};

/// The URL of Stripe's API, unless a test overrides it.
pub const API: &str = "https://api.stripe.com";
/// The origins of Stripe's pages.
const PAGES: [&str; 2] = ["https://checkout.stripe.com", "https://billing.stripe.com"];
/// How many rows of a list to request at a time: Stripe's maximum.
const A_PAGE: &str = "100";
/// The most pages to read when looking for one payment among a workspace's later ones.
const MAX_PAGES: usize = 20;
/// How many deleted workspaces to process in one round.
const BATCH_SIZE: u64 = 20;

#[derive(Debug)]
pub struct Stripe {
    api: Api,
    webhook_secret: Secret,
    origins: Vec<String>,
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

#[derive(Debug, Deserialize)]
struct Customer {
    id: String,
    /// By somebody on Stripe's own pages.
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    invoice_settings: InvoiceSettings,
}

#[derive(Debug, Default, Deserialize)]
struct InvoiceSettings {
    default_payment_method: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Session {
    id: String,
    /// `None` once it can no longer be paid.
    url: Option<String>,
    status: Option<String>,
    payment_status: Option<String>,
    amount_total: Option<i64>,
    client_reference_id: Option<String>,
    payment_intent: Option<PaymentIntent>,
}

#[derive(Debug, Deserialize)]
#[serde(from = "AsIdOrWhole")]
struct PaymentIntent {
    id: String,
    status: String,
    amount_received: Option<i64>,
    payment_method: Option<String>,
    metadata: Metadata,
}

/// Only the ID, if its expansion was not requested.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum AsIdOrWhole {
    Id(String),
    Whole {
        id: String,
        status: String,
        amount_received: Option<i64>,
        payment_method: Option<String>,
        #[serde(default)]
        metadata: Metadata,
    },
}

impl From<AsIdOrWhole> for PaymentIntent {
    fn from(intent: AsIdOrWhole) -> Self {
        match intent {
            AsIdOrWhole::Id(id) => Self {
                id,
                status: String::new(),
                amount_received: None,
                payment_method: None,
                metadata: Metadata::default(),
            },
            AsIdOrWhole::Whole {
                id,
                status,
                amount_received,
                payment_method,
                metadata,
            } => Self {
                id,
                status,
                amount_received,
                payment_method,
                metadata,
            },
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    /// The payment for which a saved card was charged.
    charge: Option<String>,
    /// The payment that was made on a page.
    payment: Option<String>,
}

impl Metadata {
    /// Our payment ID, as sent to Stripe with the request.
    fn ours(&self) -> Option<PaymentId> {
        let named = self.charge.as_ref().or(self.payment.as_ref())?;
        named.parse().ok()
    }
}

#[derive(Debug, Deserialize)]
struct PaymentMethod {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Portal {
    url: String,
}

#[derive(Debug, Deserialize)]
struct Charge {
    #[serde(default)]
    amount_refunded: i64,
    payment_intent: Option<PaymentIntent>,
    #[serde(default)]
    metadata: Metadata,
}

/// docs.stripe.com/api/refunds/object
#[derive(Debug, Deserialize)]
struct Refund {
    id: String,
    amount: i64,
    status: Option<String>,
    /// Seconds since the Unix epoch.
    created: Option<i64>,
    charge: Charge,
}

#[derive(Debug, Deserialize)]
struct List<T> {
    data: Vec<T>,
    #[serde(default)]
    has_more: bool,
}

/// An item of a list, with the ID to request the next page.
trait Listed {
    fn id(&self) -> &str;
}

impl Listed for Session {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }
}

impl PaymentIntent {
    /// docs.stripe.com/payments/paymentintents/lifecycle
    fn fate(&self) -> PaymentOutcome {
        let status = match self.status.as_str() {
            "succeeded" => PaymentStatus::Paid,
            "processing" => PaymentStatus::Confirming,
            "canceled" => PaymentStatus::Expired,
            // The buyer is not present to authenticate with the bank.
            _ => PaymentStatus::Declined,
        };
        let charged = self.amount_received.map(Money::from_cents);
        PaymentOutcome {
            status,
            charged: charged.filter(|_| status == PaymentStatus::Paid),
        }
    }
}

impl Session {
    fn fate(&self) -> PaymentOutcome {
        let status = match (self.status.as_deref(), self.payment_status.as_deref()) {
            (_, Some("paid")) => PaymentStatus::Paid,
            (Some("expired"), _) => PaymentStatus::Expired,
            (Some("complete"), _) => match &self.payment_intent {
                // The buyer has done their part, and the bank declined.
                Some(intent) if intent.status == "requires_payment_method" => {
                    PaymentStatus::Declined
                }
                _ => PaymentStatus::Confirming,
            },
            _ => PaymentStatus::Open,
        };
        let charged = self.amount_total.map(Money::from_cents);
        PaymentOutcome {
            status,
            charged: charged.filter(|_| status == PaymentStatus::Paid),
        }
    }
}

/// Logs the failure and returns the error for the user.
fn failed(doing: &str) -> impl Fn(Failure) -> AppError {
    move |failure| {
        tracing::error!(%failure, "{doing} at Stripe failed");
        out_of_reach()
    }
}

impl Stripe {
    /// The workspace's Stripe customer, created on first use.
    async fn customer(
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
    async fn update_customer(
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
    async fn set_default_card(
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
    async fn card(&self, customer: &str) -> Result<Option<String>, Failure> {
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

    /// The Stripe object with this ID; `None` if there is none.
    async fn known<T: serde::de::DeserializeOwned>(
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

    async fn session(&self, id: &str) -> Result<Option<Session>, Failure> {
        let path = format!("/v1/checkout/sessions/{id}");
        let query = [("expand[]", "payment_intent")];
        match self.api.get(&path, &query).await {
            Ok(session) => Ok(Some(session)),
            Err(Failure::Missing) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The first of a customer's list, newest first, that satisfies `is` and is not older than the payment.
    async fn find<T, F>(
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
    async fn charged(
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
