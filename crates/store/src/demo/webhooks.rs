//! The demo's webhooks: one that works, with a history, and one that was disabled. Their hosts are under `.example`,
//! which never resolves: the demo sends nothing outside.

use domain::catalog::{EventType, Mode};
use domain::webhooks::{DeliveryStatus, Status};
use domain::{
    AppError, AttemptId, DeliveryId, Timestamp, WebhookId, WorkspaceId, days, hours, minutes,
};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use serde_json::{Value, json};

use crate::context::AppContext;
use crate::db::Tx;
use crate::db::entity::{self, delivery_attempt, webhook, webhook_hourly_stat};
use crate::webhooks::deliveries::new_delivery;
use crate::webhooks::{envelope, signing};

/// The event types of the working webhook; the demo's history contains some.
const TYPES: [EventType; 2] = [EventType::ContactStageChanged, EventType::ContactTagged];
/// The number of hours that the charts show.
const PAST: i64 = 7 * 24;

pub async fn demo(tx: &mut Tx, ctx: &AppContext, workspace: WorkspaceId) -> Result<(), AppError> {
    let works = webhook(
        tx,
        ctx,
        workspace,
        (
            "https://hooks.acme.example/wheelhouse",
            "Keeps the CRM up to date",
        ),
        Status::Enabled,
    )
    .await?;
    webhook(
        tx,
        ctx,
        workspace,
        ("https://old.acme.example/in", "Previous CRM"),
        Status::Disabled,
    )
    .await?;
    past_hours(tx, works).await?;
    let events = entity::Event::find()
        .filter(entity::event::Column::WorkspaceId.eq(workspace))
        .filter(entity::event::Column::EventType.is_in(TYPES))
        .order_by_asc(entity::event::Column::Id)
        .all(tx)
        .await?;
    for (index, event) in events.iter().enumerate() {
        // The second took two attempts, the third never arrived.
        let outcomes: &[Option<u16>] = match index {
            1 => &[Some(503), Some(200)],
            2 => &[None, Some(500), Some(500)],
            _ => &[Some(200)],
        };
        past_delivery(tx, works, event, outcomes).await?;
    }
    Ok(())
}

async fn webhook(
    tx: &mut Tx,
    ctx: &AppContext,
    workspace: WorkspaceId,
    (url, description): (&str, &str),
    status: Status,
) -> Result<WebhookId, AppError> {
    let (id, made) = (WebhookId::new(), Timestamp::now().before(days(35)));
    let works = status == Status::Enabled;
    let since = Timestamp::now().before(days(11));
    webhook::ActiveModel {
        id: Set(id),
        workspace_id: Set(workspace),
        url: Set(url.to_owned()),
        description: Set(description.to_owned()),
        event_types: Set(json!(TYPES)),
        filters: Set(json!([])),
        headers: Set(None),
        secret: Set(signing::seal_secret(ctx, id, &signing::new_secret())),
        previous_secret: Set(None),
        previous_secret_until: Set(None),
        mode: Set(Mode::Live),
        include_test_events: Set(false),
        status: Set(status),
        status_reason: Set((!works).then(|| "All 23 attempts in the last 5 days failed".to_owned())),
        status_by: Set((!works).then(|| "Wheelhouse".to_owned())),
        status_at: Set((!works).then_some(since)),
        failures: Set(if works { 0 } else { 23 }),
        failing_since: Set((!works).then(|| since.before(days(5)))),
        circuit_open_until: Set(None),
        last_success_at: Set(Some(if works {
            Timestamp::now().before(minutes(40))
        } else {
            since.before(days(6))
        })),
        created_by_name: Set("Adam Archer".to_owned()),
        created_at: Set(made),
        updated_at: Set(made),
    }
    .insert(tx)
    .await?;
    Ok(id)
}

/// A realistic week: busy by day, quiet by night, one bad hour.
async fn past_hours(tx: &Tx, webhook: WebhookId) -> Result<(), AppError> {
    let now = Timestamp::now().millis().div_euclid(3_600_000);
    let rows = (0..PAST).map(|ago| {
        let of_day = (now - ago).rem_euclid(24);
        let succeeded = if (7..19).contains(&of_day) {
            18 + (ago * 7) % 11
        } else {
            2
        };
        let failed = match ago {
            30 => 9,
            _ if ago % 17 == 3 => 1,
            _ => 0,
        };
        webhook_hourly_stat::ActiveModel {
            webhook_id: Set(webhook),
            hour: Set(now - ago),
            succeeded: Set(succeeded),
            failed: Set(failed),
            duration_ms: Set((succeeded + failed) * (70 + (ago * 13) % 60)),
            slowest_ms: Set(240 + (ago * 29) % 400),
        }
    });
    entity::WebhookHourlyStat::insert_many(rows)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// A past delivery; `None` is an attempt without a response.
async fn past_delivery(
    tx: &Tx,
    webhook: WebhookId,
    event: &entity::event::Model,
    outcomes: &[Option<u16>],
) -> Result<(), AppError> {
    let id = DeliveryId::new();
    let mut at = event.created_at;
    let last = outcomes.last().copied().flatten();
    let good = last == Some(200);
    entity::delivery::ActiveModel {
        status: Set(if good {
            DeliveryStatus::Delivered
        } else {
            DeliveryStatus::Failed
        }),
        attempts: Set(i32::try_from(outcomes.len()).unwrap_or(0)),
        next_attempt_at: Set(None),
        last_status_code: Set(last.map(i32::from)),
        last_error: Set((!good).then(|| "status".to_owned())),
        created_at: Set(at),
        finished_at: Set(Some(at.after(hours(1)))),
        ..new_delivery(id, webhook, event.id, event.event_type, at)
    }
    .insert(tx)
    .await?;
    for (number, status) in (1..).zip(outcomes) {
        let answered = status.is_some();
        delivery_attempt::ActiveModel {
            id: Set(AttemptId::new()),
            delivery_id: Set(id),
            number: Set(number),
            at: Set(at),
            status_code: Set(status.map(i32::from)),
            error: Set(match status {
                Some(200) => None,
                Some(_) => Some("status".to_owned()),
                None => Some("timeout".to_owned()),
            }),
            duration_ms: Set(if answered { 96 } else { 15_000 }),
            request_headers: Set(Some(request_headers(event, at))),
            response_headers: Set(
                answered.then(|| json!({"content-type": "application/json", "server": "nginx"}))
            ),
            response_body: Set(status.map(|status| json!({"ok": status == 200}).to_string())),
        }
        .insert(tx)
        .await?;
        at = at.after(minutes(5));
    }
    Ok(())
}

fn request_headers(event: &entity::event::Model, at: Timestamp) -> Value {
    let own = signing::own_headers(
        &[signing::new_secret()],
        event.id,
        at,
        &envelope::body(event),
    );
    Value::Object(
        own.into_iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect(),
    )
}
