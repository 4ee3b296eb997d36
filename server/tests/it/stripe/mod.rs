//! Stripe as the provider, in front of what stands for it: what is charged is granted once, whatever gets lost; the card
//! that is charged is the one that was chosen; nothing is believed that Stripe did not sign.

mod checkout;
mod kept_card;
mod signatures;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use domain::credits::EntryKind;
use domain::payments::PaymentPurpose;
use domain::subscriptions::Terms;
use domain::workspace::NewWorkspaceForm;
use domain::{Money, PaymentId, Secret, Timestamp, WorkspaceId};
use serde_json::Value;
use store::auth::{Actor, Caller};
use store::billing::{self, Chosen, subscriptions};
use store::credits::verify::verify;
use store::db::entity::{self, credit_entry, payment, subscription};
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use store::settlement::provider_webhook::sign;
use store::{settlement, workspace as workspaces};

use crate::fake_stripe::{HOOK, StandIn};
use crate::support::{Server, info};

const PAGE: &str = "/w/acme/settings/credits";
const PRICE: Money = Money::from_cents(2900);

pub async fn actor(server: &Server, who: &str, workspace: &str) -> Actor {
    let cookie = server.cookies[who].expose().to_owned();
    let caller = Caller::new(server.ctx.clone(), info(), Some(cookie));
    caller.actor(workspace).await.unwrap()
}

/// Puts Stripe behind the port.
pub async fn stripe(server: &Server) -> StandIn {
    let stand_in = StandIn::start().await;
    server.ctx.set_payments(Arc::new(stand_in.provider()));
    stand_in
}

/// A new workspace of Greta's, on trial.
pub async fn on_trial(server: &Server) -> Actor {
    let cookie = server.cookies["greta"].expose().to_owned();
    let caller = Caller::new(server.ctx.clone(), info(), Some(cookie));
    let form = NewWorkspaceForm {
        name: "Fresh".to_owned(),
        slug: "fresh".to_owned(),
    };
    let greta = caller.person().await.unwrap();
    workspaces::create(&server.ctx, &greta, &form)
        .await
        .unwrap();
    actor(server, "greta", "fresh").await
}

pub fn terms(plan: &str) -> Terms {
    Terms {
        plan: plan.to_owned(),
        cdr_mode: false,
    }
}

pub async fn buy(server: &Server, actor: &Actor) -> (PaymentId, String) {
    let purpose = PaymentPurpose::Credits { credits: 1000 };
    let url = settlement::begin(&server.ctx, &actor.permit().unwrap(), &purpose, PRICE, PAGE)
        .await
        .unwrap();
    (last(server, actor.workspace()).await.id, url)
}

pub async fn subscribe(server: &Server, stand_in: &StandIn, actor: &Actor, card: &str) {
    let page = "/w/fresh/settings/billing";
    let agreed = Money::from_cents(1_000_000);
    let permit = actor.permit().unwrap();
    let chosen = billing::choose(
        &server.ctx,
        &permit,
        terms("light"),
        agreed,
        page,
        Timestamp::now(),
    );
    let Chosen::Pay(url) = chosen.await.unwrap() else {
        panic!("nothing to pay");
    };
    let paid = stand_in.pay(&url, card).await;
    assert_eq!(tell(server, &paid).await, StatusCode::OK);
}

pub async fn last(server: &Server, workspace: WorkspaceId) -> payment::Model {
    entity::Payment::find()
        .filter(payment::Column::WorkspaceId.eq(workspace))
        .order_by_desc(payment::Column::Id)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

pub async fn find(server: &Server, id: PaymentId) -> payment::Model {
    entity::Payment::find_by_id(id)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

pub async fn plan(server: &Server, workspace: WorkspaceId) -> subscription::Model {
    entity::Subscription::find_by_id(workspace)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

pub async fn customer(server: &Server, workspace: WorkspaceId) -> String {
    entity::StripeCustomer::find_by_id(workspace)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
        .customer_id
}

/// The lines that a payment of credits left in the ledger.
pub async fn lines(server: &Server, id: PaymentId) -> Vec<(EntryKind, i64)> {
    let bought = entity::CreditEntry::find()
        .filter(credit_entry::Column::IdempotencyKey.eq(id.to_string()))
        .all(server.ctx.db().read())
        .await
        .unwrap();
    let ids: Vec<_> = bought.iter().map(|line| line.id).collect();
    let back = entity::CreditEntry::find()
        .filter(credit_entry::Column::Refunds.is_in(ids))
        .order_by_asc(credit_entry::Column::Number)
        .all(server.ctx.db().read())
        .await
        .unwrap();
    bought
        .into_iter()
        .chain(back)
        .map(|line| (line.kind, line.amount))
        .collect()
}

async fn post(server: &Server, header: &str, body: &str) -> StatusCode {
    let request = Request::post("/stripe/webhook")
        .header("stripe-signature", header)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    server.send(request).await.status
}

/// Stripe tells of an event.
pub async fn tell(server: &Server, event: &Value) -> StatusCode {
    let body = event.to_string();
    let second = Timestamp::now().millis() / 1000;
    post(
        server,
        &sign(&Secret::from(HOOK), second, body.as_bytes()),
        &body,
    )
    .await
}

/// What the worker does by `now`.
pub async fn work(server: &Server, now: Timestamp) {
    subscriptions::process_due(&server.ctx, now).await.unwrap();
    settlement::reconcile_pending(&server.ctx, now)
        .await
        .unwrap();
}

pub async fn adds_up(server: &Server) {
    assert_eq!(verify(server.ctx.db().read()).await.unwrap(), []);
}

pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    let found = fields.iter().find(|(key, _)| key == name);
    found.map_or("", |(_, value)| value)
}
