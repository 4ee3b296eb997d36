//! Payments: who may begin one, that what is charged is granted once whatever happens between, and that nothing is
//! believed that is not signed.

mod interruptions;

use domain::catalog::{EventType, Mode};
use domain::credits::EntryKind;
use domain::payments::{Choice, PaymentPurpose, PaymentStatus};
use domain::{AppError, Money, PaymentId, Permission, Secret, Timestamp, days, minutes};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;
use store::auth::{Actor, Principal, Unattended};
use store::credits::dto::Use;
use store::credits::verify::verify;
use store::credits::view;
use store::db::entity::{self, credit_entry, payment};
use store::payments::simulated;
use store::settlement::provider_webhook::{handle_event, sign};
use store::settlement::simulated_events;
use store::{credits as ledger, settlement};

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, TestEnv, both};

const PAGE: &str = "/w/acme/settings/credits";
const CREDITS: u32 = 1000;
const PRICE: Money = Money::from_cents(2900);

fn credits() -> PaymentPurpose {
    PaymentPurpose::Credits { credits: CREDITS }
}

/// Begins to buy; answers the payment and the provider's name for its page.
async fn begin(env: &TestEnv, actor: &Actor) -> (PaymentId, String) {
    let place = settlement::begin(&env.ctx, &actor.permit().unwrap(), &credits(), PRICE, PAGE)
        .await
        .unwrap();
    let checkout = place.strip_prefix("/pay/").unwrap().to_owned();
    let payment = entity::Payment::find()
        .filter(payment::Column::CheckoutId.eq(&checkout))
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    (payment.id, checkout)
}

async fn payment(env: &TestEnv, id: PaymentId) -> payment::Model {
    entity::Payment::find_by_id(id)
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

async fn status(env: &TestEnv, id: PaymentId) -> PaymentStatus {
    payment(env, id).await.status
}

/// How often this payment was granted.
async fn granted(env: &TestEnv, id: PaymentId) -> usize {
    let entries = entity::CreditEntry::find()
        .filter(credit_entry::Column::Kind.eq(EntryKind::Purchase))
        .filter(credit_entry::Column::Mode.eq(Mode::Live))
        .filter(credit_entry::Column::IdempotencyKey.eq(id.to_string()))
        .all(env.ctx.db().read())
        .await
        .unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| entry.amount == i64::from(CREDITS))
    );
    entries.len()
}

async fn adds_up(env: &TestEnv) {
    assert_eq!(verify(env.ctx.db().read()).await.unwrap(), []);
}

/// An event of the provider.
fn told(id: &str, event_type: &str, payment: PaymentId, status: &str, amount: i64) -> String {
    json!({
        "id": id, "type": event_type, "data": {"object": {
            "client_reference_id": payment, "payment_status": status, "amount_total": amount, "currency": "usd",
        }},
    })
    .to_string()
}

async fn take(env: &TestEnv, body: &str) -> Result<(), AppError> {
    let secret = env.ctx.payments().signing_secret();
    let header = sign(&secret, Timestamp::now().millis() / 1000, body.as_bytes());
    handle_event(&env.ctx, &header, body.as_bytes()).await
}

both! {
    async fn what_is_paid_is_granted_to_the_workspace_by_who_paid(env) {
        let adam = env.actor(ADAM, "acme").await;
        let before = env.events(EventType::BillingPaymentSucceeded).await;
        let (id, checkout) = begin(env, &adam).await;
        assert_eq!(status(env, id).await, PaymentStatus::Open);
        assert_eq!(granted(env, id).await, 0, "not before it is paid");
        let back = simulated_events::choose(&env.ctx, &checkout, Choice::Pay).await.unwrap();
        assert_eq!(back, format!("{PAGE}?payment={id}"));
        assert_eq!(status(env, id).await, PaymentStatus::Paid);
        assert_eq!(granted(env, id).await, 1);
        assert_eq!(env.events(EventType::BillingPaymentSucceeded).await, before + 1);
        let view = settlement::view(&env.ctx, &adam.permit().unwrap(), id).await.unwrap().unwrap();
        assert_eq!(view.sentence(), "Your $29 payment for 1,000 credits went through. Thank you.");
        let again = simulated_events::choose(&env.ctx, &checkout, Choice::Pay).await.unwrap_err();
        assert!(matches!(again, AppError::Conflict(_)));
        adds_up(env).await;
    }

    async fn what_is_paid_back_takes_back_what_is_not_spent(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, checkout) = begin(env, &adam).await;
        assert!(settlement::refund(Unattended::Operator, &env.ctx, id, None).await.is_err(), "nothing is paid yet");
        simulated_events::choose(&env.ctx, &checkout, Choice::Pay).await.unwrap();
        // The plan's credits go first, then older purchases: of these 1,000 all but 300 are used.
        let principal = Principal::from(adam.clone());
        let there = view::balance(&env.ctx, &principal.permit().unwrap()).await.unwrap().total();
        let mut tx = env.ctx.db().begin().await.unwrap();
        let wanted = Use::new(env.ctx.catalog(), "quick_answer", Some(u32::try_from(there - 300).unwrap()), None);
        ledger::spend(&mut tx, &principal.permit().unwrap(), &wanted.unwrap(), None).await.unwrap();
        tx.commit().await.unwrap();
        let half = settlement::refund(Unattended::Operator, &env.ctx, id, Some(Money::from_cents(1450))).await.unwrap();
        assert_eq!(half, Money::from_cents(1450));
        let left = async || view::balance(&env.ctx, &principal.permit().unwrap()).await.unwrap().total();
        assert_eq!(left().await, 0, "500 were due, and 300 are there");
        for _ in 0..2 {
            simulated_events::deliver_events(&env.ctx, Timestamp::now()).await.unwrap();
        }
        assert_eq!(payment(env, id).await.refunded, half);
        assert_eq!(env.events(EventType::BillingPaymentRefunded).await, 1, "told by the answer and by the event");
        let more = settlement::refund(Unattended::Operator, &env.ctx, id, Some(Money::from_cents(1451))).await;
        assert!(matches!(more, Err(AppError::Conflict(_))), "{more:?}");
        settlement::refund(Unattended::Operator, &env.ctx, id, None).await.unwrap();
        assert_eq!((payment(env, id).await.refunded, left().await), (PRICE, 0));
        adds_up(env).await;
    }

    async fn what_is_declined_or_left_alone_grants_nothing(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        let failed = env.events(EventType::BillingPaymentFailed).await;
        let (declined, checkout) = begin(env, &olivia).await;
        simulated_events::choose(&env.ctx, &checkout, Choice::Decline).await.unwrap();
        let (left, _) = begin(env, &olivia).await;
        let later = Timestamp::now().after(days(1)).after(minutes(1));
        assert_eq!(simulated::process_due(env.ctx.db(), later).await.unwrap(), 1);
        simulated_events::deliver_events(&env.ctx, later).await.unwrap();
        assert_eq!(status(env, declined).await, PaymentStatus::Declined);
        assert_eq!(status(env, left).await, PaymentStatus::Expired);
        assert_eq!(granted(env, declined).await + granted(env, left).await, 0);
        assert_eq!(env.events(EventType::BillingPaymentFailed).await, failed + 1, "one was refused, one forgotten");
    }

    async fn what_the_bank_confirms_later_is_granted_then(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, checkout) = begin(env, &adam).await;
        simulated_events::choose(&env.ctx, &checkout, Choice::Confirm).await.unwrap();
        assert_eq!(status(env, id).await, PaymentStatus::Confirming);
        assert_eq!(simulated::process_due(env.ctx.db(), Timestamp::now()).await.unwrap(), 0, "the bank takes its time");
        let later = Timestamp::now().after(minutes(1));
        simulated::process_due(env.ctx.db(), later).await.unwrap();
        assert_eq!(granted(env, id).await, 0, "it has decided, and not told yet");
        simulated_events::deliver_events(&env.ctx, later).await.unwrap();
        assert_eq!((status(env, id).await, granted(env, id).await), (PaymentStatus::Paid, 1));
    }

    async fn only_who_manages_billing_begins_and_sees_a_payment(env) {
        for email in [MIA, CLEO] {
            let actor = env.actor(email, "acme").await;
            let refused = async { settlement::begin(&env.ctx, &actor.permit()?, &credits(), PRICE, PAGE).await }.await.unwrap_err();
            assert_eq!(refused, AppError::Forbidden { permission: Permission::ManageBilling });
        }
        let (id, _) = begin(env, &env.actor(ADAM, "acme").await).await;
        let mia = env.actor(MIA, "acme").await;
        assert!(async { settlement::view(&env.ctx, &mia.permit()?, id).await }.await.is_err());
        let greta = env.actor(GRETA, "globex").await;
        assert_eq!(settlement::view(&env.ctx, &greta.permit().unwrap(), id).await.unwrap(), None);
    }

    async fn what_is_not_the_providers_own_word_changes_nothing(env) {
        let (id, _) = begin(env, &env.actor(ADAM, "acme").await).await;
        let paid = told("evt_forged", "checkout.session.completed", id, "paid", 2900);
        let second = Timestamp::now().millis() / 1000;
        let secret = env.ctx.payments().signing_secret();
        for header in [
            String::new(),
            sign(&Secret::from("guessed"), second, paid.as_bytes()),
            sign(&secret, second, b"{}"),
            sign(&secret, second - 301, paid.as_bytes()),
        ] {
            let refused = handle_event(&env.ctx, &header, paid.as_bytes()).await.unwrap_err();
            assert_eq!(refused, AppError::Malformed);
        }
        for body in [
            told("evt_less", "checkout.session.completed", id, "paid", 29),
            paid.replace("usd", "jpy").replace("evt_forged", "evt_yen"),
            told("evt_else", "customer.created", id, "paid", 2900),
            told("evt_gone", "checkout.session.completed", PaymentId::new(), "paid", 2900),
        ] {
            take(env, &body).await.unwrap();
        }
        assert!(take(env, "no json").await.is_err());
        assert_eq!((status(env, id).await, granted(env, id).await), (PaymentStatus::Open, 0));
        take(env, &paid).await.unwrap();
        assert_eq!((status(env, id).await, granted(env, id).await), (PaymentStatus::Paid, 1));
    }

    async fn events_in_any_order_and_five_times_over_end_the_same(env) {
        let adam = env.actor(ADAM, "acme").await;
        let kinds = [
            ("checkout.session.completed", "unpaid"),
            ("checkout.session.async_payment_failed", "unpaid"),
            ("checkout.session.expired", "unpaid"),
            ("checkout.session.async_payment_succeeded", "paid"),
        ];
        for round in 0..12_usize {
            let (id, _) = begin(env, &adam).await;
            // The last of them, that it was paid, only in every other round.
            let count = kinds.len() - round % 2;
            let events: Vec<String> = kinds[..count]
                .iter()
                .map(|(kind, status)| told(&format!("evt_{round}_{kind}"), kind, id, status, 2900))
                .collect();
            // Each five times, in an order that differs by round: 7 and 11 are prime to what there is of them.
            let all = events.len() * 5;
            let tasks = (0..all).map(|n| {
                let ctx = env.ctx.clone();
                let body = events[(n * 7 + round * 11) % all % events.len()].clone();
                async move {
                    let secret = ctx.payments().signing_secret();
                    let header = sign(&secret, Timestamp::now().millis() / 1000, body.as_bytes());
                    handle_event(&ctx, &header, body.as_bytes()).await.unwrap();
                }
            });
            if round < 6 {
                for task in tasks { task.await; }
            } else {
                // And at the same time.
                let running: Vec<_> = tasks.map(tokio::spawn).collect();
                for task in running { task.await.unwrap(); }
            }
            let paid = round % 2 == 0;
            assert_eq!(granted(env, id).await, usize::from(paid), "round {round}");
            assert_eq!(status(env, id).await == PaymentStatus::Paid, paid, "round {round}");
        }
        adds_up(env).await;
    }

    async fn a_payment_for_a_workspace_that_is_gone_is_kept_on_record(env) {
        let olivia = env.actor(OLIVIA, "acme").await;
        let (id, checkout) = begin(env, &olivia).await;
        let tx = env.ctx.db().begin().await.unwrap();
        entity::Workspace::delete_by_id(olivia.workspace()).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        simulated_events::choose(&env.ctx, &checkout, Choice::Pay).await.unwrap();
        assert_eq!(status(env, id).await, PaymentStatus::Paid);
        assert_eq!(granted(env, id).await, 0);
    }
}
