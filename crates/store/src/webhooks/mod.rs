//! Creates and changes webhooks, for the pages and for the API. Functions that write take the caller's transaction, so
//! that the public API can store its response in the same one.

pub mod address;
pub mod attempt;
pub mod deliveries;
pub mod direct_dispatch;
pub mod dto;
pub mod envelope;
pub mod fan_out;
pub mod filter;
mod find;
pub mod health;
pub mod matcher;
pub mod queue;
pub mod retention;
pub mod signing;
pub mod view;

use domain::catalog::{EventType, Mode};
use domain::webhooks::{MAX_WEBHOOKS, SECRET_OVERLAP, Status};
use domain::{AppError, FieldErrors, Secret, Timestamp, WebhookId};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Set,
};
use serde_json::json;

use self::find::{locked, of, row};
use crate::auth::{Permit, Principal, ReadPermit, Sensitive, Unattended, can, sessions};
use crate::context::AppContext;
use crate::db::entity::webhook::{self, Column};
use crate::db::rows::page_of;
use crate::db::{Tx, entity, rows};
use crate::events::{self, NewEvent, Origin};
use crate::webhooks::dto::{
    CreateWebhookRequest, UpdateWebhookRequest, Webhook, parse_description, parse_filters,
    parse_headers, parse_types,
};

pub use crate::webhooks::deliveries::{deliveries, resend, test};

/// A page of webhooks, oldest first, and where the next begins.
pub async fn list(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    after: Option<WebhookId>,
    limit: u64,
) -> Result<(Vec<Webhook>, Option<WebhookId>), AppError> {
    let mut query = of(principal).order_by_asc(Column::Id);
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    let rows: Vec<webhook::Model> =
        rows::up_to(limit + 1, query.into_query(), ctx.db().read()).await?;
    let (rows, more) = page_of(rows, limit);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    Ok((rows.iter().map(Webhook::from).collect(), next))
}

pub async fn find(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    id: WebhookId,
) -> Result<Webhook, AppError> {
    let row = row(ctx.db().read(), principal, id).await?;
    Ok(Webhook::from(&row))
}

/// Creates a webhook; the result contains its secret.
pub async fn create(
    tx: &mut Tx,
    ctx: &AppContext,
    principal: &Permit<can::ManageWebhooks, Principal>,
    input: &CreateWebhookRequest,
) -> Result<Webhook, AppError> {
    principal.require_confirmed()?;
    principal.require_fresh(Sensitive::DirectWebhook)?;
    let draft = input.parse(ctx.webhooks()).map_err(AppError::Invalid)?;
    must_have_room(tx, principal).await?;
    let (id, now) = (WebhookId::new(), Timestamp::now());
    let secret = signing::new_secret();
    let row = webhook::ActiveModel {
        id: Set(id),
        workspace_id: Set(principal.workspace()),
        url: Set(draft.url),
        description: Set(draft.description),
        event_types: Set(json!(draft.event_types)),
        filters: Set(json!(draft.filters)),
        headers: Set(signing::seal_headers(ctx, id, &draft.headers)),
        secret: Set(signing::seal_secret(ctx, id, &secret)),
        previous_secret: Set(None),
        previous_secret_until: Set(None),
        mode: Set(principal.mode()),
        include_test_events: Set(draft.include_test_events || principal.mode() == Mode::Test),
        status: Set(Status::Enabled),
        status_reason: Set(None),
        status_by: Set(None),
        status_at: Set(None),
        failures: Set(0),
        failing_since: Set(None),
        circuit_open_until: Set(None),
        last_success_at: Set(None),
        created_by_name: Set(principal.name().to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
    }
    .insert(tx)
    .await?;
    record(tx, principal, EventType::WebhookCreated, &row, json!({})).await?;
    Ok(Webhook::from(&row).with_secret(Some(secret)))
}

/// Locks the workspace first, so that two requests cannot both take the last place. Each mode has its own limit: a test
/// key cannot use up the limit of live webhooks.
async fn must_have_room(tx: &Tx, principal: &Principal) -> Result<(), AppError> {
    sessions::lock_workspace(tx, principal.workspace()).await?;
    let in_mode = of(principal).filter(Column::Mode.eq(principal.mode()));
    if in_mode.count(tx).await? < MAX_WEBHOOKS {
        return Ok(());
    }
    Err(AppError::LimitReached(format!(
        "You've reached the limit of {MAX_WEBHOOKS} {} webhooks. Delete one you don't use.",
        principal.mode()
    )))
}

/// Records an event about a webhook in its mode: events of test webhooks notify nobody.
async fn record(
    tx: &mut Tx,
    origin: impl Into<Origin>,
    event_type: EventType,
    row: &webhook::Model,
    mut more: serde_json::Value,
) -> Result<(), AppError> {
    if let Some(fields) = more.as_object_mut() {
        fields.insert("id".to_owned(), json!(row.id));
        fields.insert("url".to_owned(), json!(row.url));
    }
    let event = NewEvent::in_workspace(row.workspace_id, event_type, more).in_mode(row.mode);
    events::record(tx, origin, event).await?;
    Ok(())
}

/// Changes the given fields and keeps the rest. A new URL gets a new secret, which the result contains: the new endpoint
/// must not learn the old one. Nor must it learn the header values, which are often passwords: for a new origin they must
/// be entered again.
pub async fn update(
    tx: &mut Tx,
    ctx: &AppContext,
    principal: &Permit<can::ManageWebhooks, Principal>,
    id: WebhookId,
    patch: &UpdateWebhookRequest,
) -> Result<Webhook, AppError> {
    // Pausing is always allowed.
    if patch.status != Some(Status::Paused) || patch.url.is_some() {
        principal.require_confirmed()?;
    }
    let before = locked(tx, principal, id).await?;
    let (mut row, mut errors) = (before.clone(), FieldErrors::new());
    let mut changed: Vec<&str> = Vec::new();
    let mut secret = None;
    if let Some(text) = &patch.url
        && let Some(url) = errors.check("url", address::parse_url(text, ctx.webhooks()))
        && url != row.url
    {
        principal.require_fresh(Sensitive::DirectWebhook)?;
        let new = signing::new_secret();
        row.url = url;
        row.secret = signing::seal_secret(ctx, id, &new);
        (row.previous_secret, row.previous_secret_until) = (None, None);
        (row.failures, row.failing_since, row.circuit_open_until) = (0, None, None);
        row.last_success_at = None;
        secret = Some(new);
        changed.push("url");
    }
    if let Some(text) = &patch.description
        && let Some(text) = errors.check("description", parse_description(text))
        && text != row.description
    {
        row.description = text;
        changed.push("description");
    }
    if let Some(types) = &patch.event_types
        && let Some(types) = errors.check("event_types", parse_types(types))
        && json!(types) != row.event_types
    {
        row.event_types = json!(types);
        changed.push("event_types");
    }
    if let Some(filters) = &patch.filters
        && let Some(filters) = errors.check("filters", parse_filters(filters))
        && json!(filters) != row.filters
    {
        row.filters = json!(filters);
        changed.push("filters");
    }
    if let Some(include) = patch.include_test_events
        && row.mode == Mode::Live
        && include != row.include_test_events
    {
        row.include_test_events = include;
        changed.push("include_test_events");
    }
    let moved = !address::same_origin(&before.url, &row.url);
    if moved && let Some(why) = keeps_a_header(ctx, &before, patch)? {
        errors.add("headers", why);
    }
    if let Some(headers) = &patch.headers {
        let stored = signing::headers(ctx, &before)?;
        let given = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()));
        if let Some(headers) = errors.check("headers", parse_headers(given, &stored))
            && headers != stored
        {
            row.headers = signing::seal_headers(ctx, id, &headers);
            changed.push("headers");
        }
    }
    if let Some(status) = patch.status
        && status != row.status
    {
        if status == Status::Disabled {
            errors.add("status", "Use enabled or paused");
        } else {
            set_status(tx, &mut row, status, principal.name(), None).await?;
            changed.push("status");
        }
    }
    if !errors.is_empty() {
        return Err(AppError::Invalid(errors));
    }
    if !changed.is_empty() {
        row.updated_at = Timestamp::now();
        save(tx, &row).await?;
        let more = json!({"changed": changed, "status": row.status});
        record(tx, principal, EventType::WebhookUpdated, &row, more).await?;
    }
    Ok(Webhook::from(&row).with_secret(secret))
}

/// For a webhook whose origin changes: the error if a stored header value would be kept.
fn keeps_a_header(
    ctx: &AppContext,
    before: &webhook::Model,
    patch: &UpdateWebhookRequest,
) -> Result<Option<String>, AppError> {
    let stored = signing::headers(ctx, before)?;
    let Some(given) = &patch.headers else {
        return Ok((!stored.is_empty()).then(|| {
            "Stored header values aren't sent to a new host. Enter all headers again, or an empty object to remove \
             them."
                .to_owned()
        }));
    };
    let kept: Vec<String> = given
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name.trim().to_ascii_lowercase())
        .filter(|name| stored.iter().any(|header| header.name == *name))
        .collect();
    Ok((!kept.is_empty()).then(|| {
        format!(
            "Stored header values aren't sent to a new host. Enter the value again, or remove the header: {}",
            kept.join(", ")
        )
    }))
}

async fn save(tx: &Tx, row: &webhook::Model) -> Result<(), AppError> {
    row.clone()
        .into_active_model()
        .reset_all()
        .update(tx)
        .await?;
    Ok(())
}

/// Enabling a webhook resets its failures. Pausing or disabling it cancels pending deliveries, except those that are
/// being sent.
async fn set_status(
    tx: &mut Tx,
    row: &mut webhook::Model,
    status: Status,
    by: &str,
    reason: Option<&str>,
) -> Result<(), AppError> {
    row.status = status;
    row.status_by = Some(by.to_owned());
    row.status_reason = reason.map(str::to_owned);
    row.status_at = Some(Timestamp::now());
    if status == Status::Enabled {
        (row.failures, row.failing_since, row.circuit_open_until) = (0, None, None);
    } else {
        deliveries::cancel_waiting(tx, row).await?;
    }
    Ok(())
}

/// Disables a webhook after repeated failures, or because its endpoint returned 410 Gone. The event notifies owners and
/// admins.
pub async fn disable(
    _: Unattended,
    tx: &mut Tx,
    id: WebhookId,
    reason: &str,
) -> Result<(), AppError> {
    let row = entity::Webhook::find_by_id(id)
        .lock_exclusive()
        .one(tx)
        .await?;
    let Some(mut row) = row.filter(|row| row.status == Status::Enabled) else {
        return Ok(());
    };
    set_status(tx, &mut row, Status::Disabled, "Wheelhouse", Some(reason)).await?;
    row.updated_at = Timestamp::now();
    save(tx, &row).await?;
    let more = json!({"reason": reason});
    record(tx, Origin::system(), EventType::WebhookDisabled, &row, more).await?;
    tracing::warn!(webhook = %id, reason, "webhook disabled");
    Ok(())
}

pub async fn remove(
    tx: &mut Tx,
    principal: &Permit<can::ManageWebhooks, Principal>,
    id: WebhookId,
) -> Result<(), AppError> {
    principal.require_fresh(Sensitive::Delete)?;
    let row = locked(tx, principal, id).await?;
    entity::Webhook::delete_by_id(id).exec(tx).await?;
    record(tx, principal, EventType::WebhookDeleted, &row, json!({})).await
}

/// Creates a new secret. The previous one also signs for [`SECRET_OVERLAP`], so that the endpoint can switch without
/// downtime.
pub async fn rotate_secret(
    tx: &mut Tx,
    ctx: &AppContext,
    principal: &Permit<can::ManageWebhooks, Principal>,
    id: WebhookId,
) -> Result<Webhook, AppError> {
    principal.require_confirmed()?;
    principal.require_fresh(Sensitive::WebhookSecret)?;
    let mut row = locked(tx, principal, id).await?;
    let (secret, now) = (signing::new_secret(), Timestamp::now());
    let sealed = signing::seal_secret(ctx, id, &secret);
    row.previous_secret = Some(std::mem::replace(&mut row.secret, sealed));
    row.previous_secret_until = Some(now.after(SECRET_OVERLAP));
    row.updated_at = now;
    save(tx, &row).await?;
    let more = json!({"changed": ["secret"], "status": row.status});
    record(tx, principal, EventType::WebhookUpdated, &row, more).await?;
    Ok(Webhook::from(&row).with_secret(Some(secret)))
}

/// The current secret, after the identity was confirmed.
pub async fn secret(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    id: WebhookId,
) -> Result<Secret, AppError> {
    principal.require_fresh(Sensitive::WebhookSecret)?;
    let row = row(ctx.db().read(), principal, id).await?;
    let secrets = signing::secrets(ctx, &row)?;
    secrets.into_iter().next().ok_or(AppError::NotFound)
}
