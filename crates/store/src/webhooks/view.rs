//! The data of the section's pages.

use std::collections::HashMap;

use domain::catalog::EventType;
use domain::webhooks::{
    AttemptView, Bar, Chart, DeliveryRow, DeliveryView, WebhookRow, WebhookView, WebhooksView,
    explain,
};
use domain::{AppError, DeliveryId, Timestamp, WebhookId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait};
use serde_json::Value;

use super::deliveries::{self, DeliveryQuery, SHOWN};
use super::find::row;
use super::{dto, signing};
use crate::auth::{Actor, Principal, ReadPermit, can};
use crate::context::AppContext;
use crate::db::entity::{self, delivery, delivery_attempt, webhook, webhook_hourly_stat};
use crate::db::rows;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24;
/// A bar of the week covers six hours.
const STEP: i64 = 6;

/// The host of a stored URL.
pub fn host(url: &str) -> String {
    url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}

fn this_hour() -> i64 {
    Timestamp::now().millis().div_euclid(HOUR)
}

pub async fn list(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
) -> Result<WebhooksView, AppError> {
    let query = entity::Webhook::find()
        .filter(webhook::Column::WorkspaceId.eq(principal.workspace()))
        .order_by_asc(webhook::Column::Id)
        .into_query();
    let rows: Vec<webhook::Model> = rows::every(query, ctx.db().read()).await?;
    let hours = entity::WebhookHourlyStat::find()
        .filter(webhook_hourly_stat::Column::WebhookId.is_in(rows.iter().map(|row| row.id)))
        .filter(webhook_hourly_stat::Column::Hour.gt(this_hour() - DAY))
        .all(ctx.db().read())
        .await?;
    let mut counts: HashMap<WebhookId, (u64, u64)> = HashMap::new();
    for hour in hours {
        let count = counts.entry(hour.webhook_id).or_default();
        count.0 += positive(hour.succeeded);
        count.1 += positive(hour.failed);
    }
    let webhooks = rows.into_iter().map(|row| {
        let (succeeded, failed) = counts.get(&row.id).copied().unwrap_or_default();
        WebhookRow {
            id: row.id,
            types: summary(&dto::event_types(&row)),
            url: row.url,
            description: row.description,
            mode: row.mode,
            status: row.status,
            succeeded,
            failed,
            last_success_at: row.last_success_at,
        }
    });
    Ok(WebhooksView {
        workspace: principal.workspace(),
        webhooks: webhooks.collect(),
    })
}

fn positive(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn summary(types: &[EventType]) -> String {
    match types {
        [] => "All events".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first}, +{} more", rest.len()),
    }
}

pub async fn detail(
    ctx: &AppContext,
    actor: &ReadPermit<can::ManageWebhooks>,
    id: WebhookId,
    wanted: DeliveryQuery,
    opened: Option<DeliveryId>,
) -> Result<WebhookView, AppError> {
    let row = row(ctx.db().read(), &Actor::clone(actor).into(), id).await?;
    let hours = entity::WebhookHourlyStat::find()
        .filter(webhook_hourly_stat::Column::WebhookId.eq(id))
        .filter(webhook_hourly_stat::Column::Hour.gt(this_hour() - 7 * DAY))
        .all(ctx.db().read())
        .await?;
    let (rows, next) = deliveries::page(ctx, id, wanted, SHOWN).await?;
    let opened = match opened {
        Some(delivery) => open(ctx, &row, delivery).await?,
        None => None,
    };
    let now = Timestamp::now();
    Ok(WebhookView {
        workspace: actor.workspace(),
        id,
        host: host(&row.url),
        description: row.description.clone(),
        event_types: dto::event_types(&row),
        filters: dto::filters(&row).iter().map(dto::filter_row).collect(),
        header_names: signing::headers(ctx, &row)?
            .into_iter()
            .map(|header| header.name)
            .collect(),
        mode: row.mode,
        include_test_events: row.include_test_events,
        status: row.status,
        status_reason: row.status_reason,
        status_by: row.status_by,
        status_at: row.status_at,
        failures: u32::try_from(row.failures).unwrap_or(0),
        circuit_open_until: row.circuit_open_until.filter(|until| *until > now),
        overlap_until: row.previous_secret_until.filter(|until| *until > now),
        created_at: row.created_at,
        created_by: row.created_by_name,
        url: row.url,
        ask_password: !actor.person().is_fresh(),
        day: chart(&hours, 24, 1),
        week: chart(&hours, 28, STEP),
        deliveries: rows.iter().map(delivery_row).collect(),
        next,
        opened,
    })
}

/// `count` bars of `step` hours each, up to the present hour.
fn chart(hours: &[webhook_hourly_stat::Model], count: usize, step: i64) -> Chart {
    let span = i64::try_from(count).unwrap_or(0) * step;
    let first = this_hour() + 1 - span;
    let mut chart = Chart::default();
    let mut spent = vec![0_u64; count];
    chart.bars = (0..count)
        .map(|index| Bar {
            at: (first + i64::try_from(index).unwrap_or(0) * step) * HOUR,
            ..Bar::default()
        })
        .collect();
    let mut total = 0;
    for hour in hours.iter().filter(|hour| hour.hour >= first) {
        let Ok(index) = usize::try_from((hour.hour - first) / step) else {
            continue;
        };
        let Some(bar) = chart.bars.get_mut(index) else {
            continue;
        };
        bar.succeeded += positive(hour.succeeded);
        bar.failed += positive(hour.failed);
        spent[index] += positive(hour.duration_ms);
        total += positive(hour.duration_ms);
        chart.succeeded += positive(hour.succeeded);
        chart.failed += positive(hour.failed);
        chart.slowest = chart.slowest.max(positive(hour.slowest_ms));
    }
    for (bar, spent) in chart.bars.iter_mut().zip(spent) {
        bar.average = spent.checked_div(bar.succeeded + bar.failed).unwrap_or(0);
    }
    chart.average = total
        .checked_div(chart.succeeded + chart.failed)
        .unwrap_or(0);
    chart
}

fn delivery_row(row: &delivery::Model) -> DeliveryRow {
    DeliveryRow {
        id: row.id,
        event_type: row.event_type,
        test: row.payload.is_some(),
        status: row.status,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        last: outcome(row.last_status_code, row.last_error.as_deref()),
        created_at: row.created_at,
        next_attempt_at: row.next_attempt_at,
    }
}

/// The outcome of an attempt: a status code or a sentence.
fn outcome(status: Option<i32>, error: Option<&str>) -> String {
    match (status, error) {
        (Some(status), None | Some("status")) => status.to_string(),
        (Some(status), Some(error)) => format!("{status}: {}", explain(error)),
        (None, Some(error)) => explain(error).to_owned(),
        (None, None) => String::new(),
    }
}

async fn open(
    ctx: &AppContext,
    webhook: &webhook::Model,
    id: DeliveryId,
) -> Result<Option<DeliveryView>, AppError> {
    let found = entity::Delivery::find_by_id(id)
        .filter(delivery::Column::WebhookId.eq(webhook.id))
        .one(ctx.db().read())
        .await?;
    let Some(row) = found else { return Ok(None) };
    let body = deliveries::payload(ctx, webhook.workspace_id, &row)
        .await
        .unwrap_or_default();
    let attempts = deliveries::attempts(ctx.db().read(), [id].into_iter()).await?;
    Ok(Some(DeliveryView {
        id,
        event: row.event_id.to_string(),
        event_type: row.event_type,
        test: row.payload.is_some(),
        status: row.status,
        next_attempt_at: row.next_attempt_at,
        body: pretty(&body),
        attempts: attempts.iter().rev().map(attempt_view).collect(),
    }))
}

fn attempt_view(row: &delivery_attempt::Model) -> AttemptView {
    AttemptView {
        number: u32::try_from(row.number).unwrap_or(0),
        at: row.at,
        good: row.error.is_none(),
        outcome: outcome(row.status_code, row.error.as_deref()),
        duration_ms: positive(row.duration_ms),
        request_headers: row.request_headers.as_ref().map(lines),
        response_headers: row.response_headers.as_ref().map(lines),
        response_body: row.response_body.as_deref().map(pretty),
    }
}

fn lines(headers: &Value) -> String {
    let Some(headers) = headers.as_object() else {
        return String::new();
    };
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join("\n")
}

/// JSON indented; anything else as it is.
fn pretty(text: &str) -> String {
    serde_json::from_str::<Value>(text)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_every_bar_and_sums_what_falls_into_each() {
        let hour = |ago, succeeded, failed, duration_ms, slowest_ms| webhook_hourly_stat::Model {
            webhook_id: WebhookId::new(),
            hour: this_hour() - ago,
            succeeded,
            failed,
            duration_ms,
            slowest_ms,
        };
        let hours = [
            hour(0, 9, 1, 1000, 400),
            hour(1, 1, 0, 50, 50),
            hour(30, 5, 5, 10, 9),
        ];
        let day = chart(&hours, 24, 1);
        assert_eq!(day.bars.len(), 24);
        assert_eq!(
            (day.succeeded, day.failed, day.average, day.slowest),
            (10, 1, 95, 400)
        );
        assert_eq!(day.bars[23].average, 100);
        assert_eq!(day.bars[0].average, 0);
        let week = chart(&hours, 28, STEP);
        assert_eq!((week.bars.len(), week.succeeded, week.failed), (28, 15, 6));
    }

    #[test]
    fn outcomes_read_as_words() {
        assert_eq!(outcome(Some(200), None), "200");
        assert_eq!(outcome(Some(500), Some("status")), "500");
        assert_eq!(outcome(None, Some("timeout")), "Timed out after 15 seconds");
        assert!(outcome(Some(302), Some("redirected")).starts_with("302: "));
    }
}
