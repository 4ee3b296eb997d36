//! Changes of the billing details.

use domain::AppError;
use domain::catalog::EventType;
use domain::subscriptions::Details;
use serde_json::json;

use super::{invoices, subscriptions};
use crate::auth::{Permit, can};
use crate::context::AppContext;

/// Sets the billing details for future invoices. Issued invoices stay unchanged.
pub async fn set_details(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    details: &Details,
) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    subscriptions::locked(&tx, actor.workspace()).await?;
    if invoices::details(&tx, actor.workspace()).await? != *details {
        invoices::set_details(&tx, actor.workspace(), details).await?;
        let what = EventType::BillingDetailsChanged;
        subscriptions::record_event(&mut tx, actor.workspace(), actor.into(), what, json!({}))
            .await?;
    }
    tx.commit().await?;
    Ok(())
}
