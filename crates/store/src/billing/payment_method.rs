//! The saved card.

use domain::AppError;

use crate::auth::{Permit, Sensitive, can};
use crate::context::AppContext;

/// The provider's page for changing the saved card.
pub async fn manage(
    ctx: &AppContext,
    actor: &Permit<can::ManageBilling>,
    page: &str,
) -> Result<String, AppError> {
    actor.person().require_fresh(Sensitive::Buy)?;
    ctx.payments()
        .manage(ctx.provider_context(), actor.workspace(), page)
        .await
}
