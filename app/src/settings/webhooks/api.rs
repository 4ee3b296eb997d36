use domain::form::FormSuccess;
use domain::webhooks::{DeleteWebhookForm, SecretForm, WebhookForm, WebhookView, WebhooksView};
use leptos::prelude::*;

use crate::rpc::{Postcard, RpcError};

#[cfg(feature = "ssr")]
use {
    crate::session::caller,
    domain::AppError,
    domain::{
        DeliveryId, Permission, Secret, Timestamp, WebhookId,
        catalog::{EventType, Mode},
        grouped, hours,
        webhooks::Status,
    },
    std::time::Duration,
    store::{
        auth::{Caller, Principal, sessions::confirm_identity},
        webhooks::{
            self,
            deliveries::{self, DeliveryQuery},
            dto::{self, CreateWebhookRequest, UpdateWebhookRequest},
            matcher::{self, SubscriptionFilter},
            view,
        },
    },
};

/// How long Test waits for the response: the deadline of the attempt and a margin.
#[cfg(feature = "ssr")]
const TEST_WAIT: Duration = Duration::from_secs(20);

#[cfg(feature = "ssr")]
async fn principal(caller: &Caller, workspace: &str) -> Result<Principal, AppError> {
    Ok(caller.actor(workspace).await?.into())
}

#[cfg(feature = "ssr")]
fn webhook(text: &str) -> Result<WebhookId, AppError> {
    text.parse().map_err(|_| AppError::NotFound)
}

#[cfg(feature = "ssr")]
fn delivery(text: &str) -> Result<DeliveryId, AppError> {
    text.parse().map_err(|_| AppError::NotFound)
}

#[server(output = Postcard)]
pub async fn load_webhooks(workspace: String) -> Result<WebhooksView, RpcError> {
    let caller = caller()?;
    Ok(view::list(
        caller.ctx(),
        &principal(&caller, &workspace).await?.permit_read()?,
    )
    .await?)
}

/// `status`, `event_type`, `hours`, `before` and `delivery` are the query parameters of the page; an invalid one is ignored.
#[server(output = Postcard)]
pub async fn load_webhook(
    workspace: String,
    webhook: String,
    status: String,
    event_type: String,
    hours: String,
    before: String,
    delivery: String,
) -> Result<WebhookView, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let wanted = DeliveryQuery {
        status: status.parse().ok(),
        event_type: event_type.parse().ok(),
        hours: hours.parse().ok(),
        before: before.parse().ok(),
    };
    let id = self::webhook(&webhook)?;
    Ok(view::detail(
        caller.ctx(),
        &actor.permit_read()?,
        id,
        wanted,
        delivery.parse().ok(),
    )
    .await?)
}

#[server(output = Postcard)]
pub async fn create_webhook(#[server(default)] form: WebhookForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let (slug, principal) = (actor.slug().clone(), Principal::from(actor));
    let input = CreateWebhookRequest::from(&form);
    if !form.dry_run.is_empty() {
        return Ok(dry_run(&caller, &principal, principal.mode(), &form).await?);
    }
    let mut tx = caller.ctx().db().begin().await?;
    let made = webhooks::create(&mut tx, caller.ctx(), &principal.permit()?, &input).await?;
    tx.commit().await?;
    leptos_axum::redirect(&format!("/w/{slug}/settings/webhooks/{}", made.id));
    Ok(FormSuccess::with_message("Webhook created"))
}

#[server(output = Postcard)]
pub async fn update_webhook(#[server(default)] form: WebhookForm) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let principal = principal(&caller, &form.workspace).await?;
    let (id, patch) = (webhook(&form.webhook)?, UpdateWebhookRequest::from(&form));
    if !form.dry_run.is_empty() {
        let found = webhooks::find(caller.ctx(), &principal.permit_read()?, id).await?;
        return Ok(dry_run(&caller, &principal, found.mode, &form).await?);
    }
    let mut tx = caller.ctx().db().begin().await?;
    let changed = webhooks::update(&mut tx, caller.ctx(), &principal.permit()?, id, &patch).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(if changed.secret.is_some() {
        "Changes saved. A new signing secret was created."
    } else {
        "Changes saved"
    }))
}

/// Tries the form's types and filters on recent events and changes nothing.
#[cfg(feature = "ssr")]
async fn dry_run(
    caller: &Caller,
    principal: &Principal,
    mode: Mode,
    form: &WebhookForm,
) -> Result<FormSuccess, AppError> {
    let patch = UpdateWebhookRequest::from(form);
    let wants = SubscriptionFilter {
        mode,
        include_test_events: patch.include_test_events.unwrap_or_default(),
        event_types: dto::parse_types(&form.event_types)
            .map_err(|error| AppError::field("event_types", error))?,
        filters: dto::parse_filters(&patch.filters.unwrap_or_default())
            .map_err(|error| AppError::field("filters", error))?,
    };
    matcher::dry_run(caller.ctx(), &principal.permit_read()?, &wants).await
}

/// `status`: the requested status, `enabled` or `paused`.
#[server(output = Postcard)]
pub async fn set_webhook_status(
    workspace: String,
    webhook: String,
    status: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let principal = principal(&caller, &workspace).await?;
    let status: Status = status.parse().map_err(|_| AppError::Malformed)?;
    let patch = UpdateWebhookRequest {
        status: Some(status),
        ..UpdateWebhookRequest::default()
    };
    let id = self::webhook(&webhook)?;
    let mut tx = caller.ctx().db().begin().await?;
    webhooks::update(&mut tx, caller.ctx(), &principal.permit()?, id, &patch).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(if status == Status::Enabled {
        "Webhook enabled"
    } else {
        "Webhook paused"
    }))
}

#[server(output = Postcard)]
pub async fn delete_webhook(
    #[server(default)] form: DeleteWebhookForm,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    let (slug, principal) = (actor.slug().clone(), Principal::from(actor));
    let id = webhook(&form.webhook)?;
    let found = webhooks::find(caller.ctx(), &principal.permit_read()?, id).await?;
    if form.host.trim() != view::host(&found.url) {
        return Err(AppError::field("host", "This host doesn't match").into());
    }
    let mut tx = caller.ctx().db().begin().await?;
    webhooks::remove(&mut tx, &principal.permit()?, id).await?;
    tx.commit().await?;
    leptos_axum::redirect(&format!("/w/{slug}/settings/webhooks"));
    Ok(FormSuccess::with_message("Webhook deleted"))
}

/// Sends a sample, waits for its outcome, and opens the delivery.
#[server(output = Postcard)]
pub async fn test_webhook(
    workspace: String,
    webhook: String,
    event_type: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let actor = caller.actor(&workspace).await?;
    let (slug, principal) = (actor.slug().clone(), Principal::from(actor));
    principal.require(Permission::ManageWebhooks)?;
    let event_type: EventType = event_type.parse().map_err(|_| AppError::Malformed)?;
    let id = self::webhook(&webhook)?;
    let mut tx = caller.ctx().db().begin().await?;
    let sent = webhooks::test(&mut tx, &principal.permit()?, id, event_type).await?;
    tx.commit().await?;
    let outcome =
        deliveries::outcome(caller.ctx(), &principal.permit_read()?, sent, TEST_WAIT).await?;
    leptos_axum::redirect(&format!("/w/{slug}/settings/webhooks/{id}?delivery={sent}"));
    Ok(FormSuccess::with_message(match outcome.attempts.last() {
        None => "Test sent".to_owned(),
        Some(attempt) => match (attempt.status_code, &attempt.error) {
            (Some(code), None) => format!("Test delivered: {code}"),
            (Some(code), Some(_)) => format!("Test failed: {code}"),
            (None, error) => format!(
                "Test failed: {}",
                domain::webhooks::explain(error.as_deref().unwrap_or("failed"))
            ),
        },
    }))
}

#[server(output = Postcard)]
pub async fn show_webhook_secret(
    #[server(default)] form: SecretForm,
) -> Result<FormSuccess, RpcError> {
    let (caller, principal) = proven(&form).await?;
    let secret = webhooks::secret(
        caller.ctx(),
        &principal.permit_read()?,
        webhook(&form.webhook)?,
    )
    .await?;
    Ok(FormSuccess::with_message("Keep this secret safe").with_secret(secret))
}

#[server(output = Postcard)]
pub async fn rotate_webhook_secret(
    #[server(default)] form: SecretForm,
) -> Result<FormSuccess, RpcError> {
    let (caller, principal) = proven(&form).await?;
    let id = webhook(&form.webhook)?;
    let mut tx = caller.ctx().db().begin().await?;
    let rotated = webhooks::rotate_secret(&mut tx, caller.ctx(), &principal.permit()?, id).await?;
    tx.commit().await?;
    let done = FormSuccess::with_message("Secret rotated. The old secret works for 24 more hours.");
    Ok(match rotated.secret {
        Some(secret) => done.with_secret(secret),
        None => done,
    })
}

/// A caller whose identity was just confirmed, because a secret is shown or changed next.
#[cfg(feature = "ssr")]
async fn proven(form: &SecretForm) -> Result<(Caller, Principal), AppError> {
    let caller = caller()?;
    let actor = caller.actor(&form.workspace).await?;
    // Permission is checked before the password, so that nobody enters it in vain.
    actor.require_read(Permission::ManageWebhooks)?;
    confirm_identity(
        caller.ctx(),
        caller.info(),
        actor.person(),
        &form.current_password,
    )
    .await?;
    Ok((caller, actor.into()))
}

#[server(output = Postcard)]
pub async fn resend_delivery(workspace: String, delivery: String) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let principal = principal(&caller, &workspace).await?;
    let id = self::delivery(&delivery)?;
    let mut tx = caller.ctx().db().begin().await?;
    webhooks::resend(&mut tx, &principal.permit()?, id).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message("Resending"))
}

/// `hours`: how far back.
#[server(output = Postcard)]
pub async fn recover_deliveries(
    workspace: String,
    webhook: String,
    hours: String,
) -> Result<FormSuccess, RpcError> {
    let caller = caller()?;
    let principal = principal(&caller, &workspace).await?;
    let id = self::webhook(&webhook)?;
    let back: u64 = hours.parse().map_err(|_| AppError::Malformed)?;
    let since = Timestamp::now().before(self::hours(back.min(24 * 365)));
    let mut tx = caller.ctx().db().begin().await?;
    let count = deliveries::recover(&mut tx, &principal.permit()?, id, since).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(match count {
        0 => "No failed deliveries since then".to_owned(),
        1 => "Resending 1 delivery".to_owned(),
        deliveries::MAX_RECOVERED => {
            format!(
                "Resending the oldest {}. Run it again for the rest.",
                grouped(count.cast_signed())
            )
        }
        n => format!("Resending {} deliveries", grouped(n.cast_signed())),
    }))
}

#[server(output = Postcard)]
pub async fn show_delivery_curl(
    #[server(default)] form: SecretForm,
) -> Result<FormSuccess, RpcError> {
    let (caller, principal) = proven(&form).await?;
    let command = deliveries::curl(
        caller.ctx(),
        &principal.permit_read()?,
        delivery(&form.delivery)?,
    )
    .await?;
    Ok(FormSuccess::with_message("Signed just now").with_secret(Secret::from(command)))
}
