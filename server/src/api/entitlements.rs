//! `/entitlements`: what the workspace's plan allows.

use axum::Json;
use axum::extract::State;
use domain::Timestamp;
use domain::subscriptions::{Entitlements, SubscriptionStatus};
use serde::Serialize;
use store::billing::subscriptions;
use store::context::AppContext;
use utoipa::ToSchema;

use super::problem::Problem;
use super::scopes::ApiKeyAuth;

/// What a workspace can use.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntitlementsResponse {
    /// ID of the plan; during a trial, ID of the trial plan.
    #[schema(value_type = Option<String>, example = "scale")]
    plan: Option<String>,
    status: SubscriptionStatus,
    /// Whether the workspace is read-only. If so, refuse everything that costs or changes something.
    frozen: bool,
    cdr_mode: bool,
    limits: PlanLimits,
    /// End of the paid period or of the trial. RFC 3339, in UTC.
    #[schema(example = "2026-12-24T12:00:00Z")]
    current_period_end: String,
}

/// Limits of the plan. `null` if the plan no longer exists.
#[derive(Debug, Serialize, ToSchema)]
struct PlanLimits {
    seats: Option<u32>,
    linkedin_accounts: Option<u32>,
    /// Credits included each month.
    credits_per_month: Option<u32>,
}

impl From<Entitlements> for EntitlementsResponse {
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
/// What the workspace's subscription includes. Check it before an action that a plan limits. Any valid key can call this.
/// During a trial, everything can be used. A frozen workspace keeps its plan and is read-only.
#[utoipa::path(
    get, path = "/entitlements", operation_id = "getEntitlements", tag = "Billing", security(("key" = [])),
    responses((status = 200, description = "The entitlements.", body = EntitlementsResponse))
)]
pub async fn show(
    holder: ApiKeyAuth,
    State(ctx): State<AppContext>,
) -> Result<Json<EntitlementsResponse>, Problem> {
    let principal = holder.key.into();
    let found = subscriptions::entitlements(&ctx, &principal, Timestamp::now()).await?;
    Ok(Json(found.into()))
}
