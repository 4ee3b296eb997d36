//! `/entitlements`: what the product is to let the workspace do.

use app::billing::engine;
use app::billing::model::{Entitlements, SubscriptionStatus};
use app::context::AppContext;
use app::domain::Timestamp;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::scopes::ApiKeyAuth;

/// What a workspace may use.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntitlementsOut {
    /// The plan's id; on trial that of the plan that can be tried.
    #[schema(value_type = Option<String>, example = "scale")]
    plan: Option<String>,
    status: SubscriptionStatus,
    /// Whether the workspace may read and no more: refuse what costs or changes anything.
    frozen: bool,
    cdr_mode: bool,
    limits: PlanLimits,
    /// When the period that is paid, or the trial, ends. RFC 3339.
    #[schema(example = "2026-12-24T12:00:00Z")]
    current_period_end: String,
}

/// How much of each the plan holds; `null` where the catalogue does not have the plan any more.
#[derive(Debug, Serialize, ToSchema)]
struct PlanLimits {
    seats: Option<u32>,
    linkedin_accounts: Option<u32>,
    /// Credits that come in each month.
    credits_per_month: Option<u32>,
}

impl From<Entitlements> for EntitlementsOut {
    fn from(it: Entitlements) -> Self {
        let plan = it.plan.as_ref();
        Self {
            status: it.status,
            frozen: it.frozen,
            cdr_mode: it.cdr_mode,
            limits: PlanLimits {
                seats: plan.map(|plan| plan.seats),
                linkedin_accounts: plan.map(|plan| plan.linkedin_accounts),
                credits_per_month: plan.map(|plan| plan.credits),
            },
            current_period_end: it.ends_at.rfc3339(),
            plan: it.plan_id,
        }
    }
}

/// Get the entitlements
///
/// What the workspace's subscription lets it do: ask before something that a plan limits. Any valid key may ask. On trial
/// everything can be used; a workspace that is frozen keeps its plan's name and may only read.
#[utoipa::path(
    get, path = "/entitlements", operation_id = "get_entitlements", tag = "Billing", security(("key" = [])),
    responses((status = 200, description = "The entitlements.", body = EntitlementsOut))
)]
pub async fn show(
    holder: ApiKeyAuth,
    State(ctx): State<AppContext>,
) -> Result<Json<EntitlementsOut>, Problem> {
    let principal = holder.key.into();
    let found = engine::entitlements(&ctx, &principal, Timestamp::now()).await?;
    Ok(Json(found.into()))
}
