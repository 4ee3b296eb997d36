//! `/credits`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{AppError, CreditEntryId, CreditHoldId};
use store::auth::Principal;
use store::context::AppContext;
use store::credits::dto::{
    CaptureCreditsRequest, CreditBalance, CreditEntry, CreditHold, ReserveCreditsRequest,
    SpendCreditsRequest,
};
use store::credits::{self, holds, top_up, view};

use super::extract::{EmptyBody, IdempotentJson, PathId, QueryParams};
use super::idempotency::Outcome;
use super::pagination::{ListPage, PageParams, PageRequest};
use super::problem::Problem;
use super::scopes::{Authorized, CreditsRead, CreditsWrite};

/// Get the balance
///
/// The credits that can be spent. Test keys have their own credits and never spend real ones.
#[utoipa::path(
    get, path = "/credits", operation_id = "getCredits", tag = "Credits", security(("key" = ["credits:read"])),
    responses((status = 200, description = "The balance.", body = CreditBalance))
)]
pub async fn show(
    caller: Authorized<CreditsRead>,
    State(ctx): State<AppContext>,
) -> Result<Json<CreditBalance>, Problem> {
    Ok(Json(
        view::balance(&ctx, &caller.principal.permit()?)
            .await?
            .into(),
    ))
}

/// List the ledger
///
/// Every change of the balance, newest first.
#[utoipa::path(
    get, path = "/credits/entries", operation_id = "listCreditEntries", tag = "Credits", params(PageParams),
    security(("key" = ["credits:read"])),
    responses((status = 200, description = "A page of ledger entries.", body = ListPage<CreditEntry>))
)]
pub async fn entries(
    caller: Authorized<CreditsRead>,
    State(ctx): State<AppContext>,
    params: QueryParams,
) -> Result<Json<ListPage<CreditEntry>>, Problem> {
    params.only(&["limit", "cursor"])?;
    let slice = PageRequest::<CreditEntryId>::read(&params)?;
    let limit = slice.one_more();
    let rows = view::entries(&ctx, &caller.principal.permit()?, None, slice.after, limit).await?;
    Ok(slice.page(rows, |entry| entry.id))
}

/// Spend credits
///
/// Spends the cost of the feature from the plan's credits first, then from purchased credits, oldest first. If there are
/// not enough credits, nothing is spent.
#[utoipa::path(
    post, path = "/credits/spend", operation_id = "spendCredits", tag = "Credits", request_body = SpendCreditsRequest,
    security(("key" = ["credits:write"])),
    responses((status = 201, description = "The ledger entry.", body = CreditEntry), (status = 402, description = "Not enough credits."))
)]
pub async fn spend(
    caller: Authorized<CreditsWrite>,
    State(ctx): State<AppContext>,
    IdempotentJson { input, once }: IdempotentJson<SpendCreditsRequest>,
) -> Result<Response, Problem> {
    let wanted = input.parse(ctx.catalog())?;
    let name = once.name();
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let entry = match credits::spend(
        open.tx(),
        &caller.principal.permit()?,
        &wanted,
        name.as_deref(),
    )
    .await
    {
        Ok(entry) => entry,
        Err(error) => {
            drop(open);
            return Err(refused(&ctx, &caller.principal, error).await);
        }
    };
    open.keep(StatusCode::CREATED, &entry).await
}

/// A shortfall can trigger a top-up, even though the request itself is rolled back.
async fn refused(ctx: &AppContext, principal: &Principal, error: AppError) -> Problem {
    if let AppError::CreditsShort { needed, balance } = error
        && let Err(failure) = top_up::shortfall(ctx, principal, needed, balance).await
    {
        return failure.into();
    }
    error.into()
}

/// Reserve credits
///
/// Reserves credits before a job runs. Capture the actual cost; the rest is released. A hold that is neither captured nor
/// released expires after `expires_in` seconds.
#[utoipa::path(
    post, path = "/credits/holds", operation_id = "reserveCredits", tag = "Credits", request_body = ReserveCreditsRequest,
    security(("key" = ["credits:write"])),
    responses((status = 201, description = "The hold.", body = CreditHold), (status = 402, description = "Not enough credits."))
)]
pub async fn reserve(
    caller: Authorized<CreditsWrite>,
    State(ctx): State<AppContext>,
    IdempotentJson { input, once }: IdempotentJson<ReserveCreditsRequest>,
) -> Result<Response, Problem> {
    let (wanted, life) = input.parse(ctx.catalog())?;
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let hold = match holds::reserve(open.tx(), &caller.principal.permit()?, &wanted, life).await {
        Ok(hold) => hold,
        Err(error) => {
            drop(open);
            return Err(refused(&ctx, &caller.principal, error).await);
        }
    };
    open.keep(StatusCode::CREATED, &hold).await
}

/// Capture a hold
///
/// Spends the reserved credits, or the part that `quantity` specifies; the rest is released. Returns 409 if the hold has
/// ended.
#[utoipa::path(
    post, path = "/credits/holds/{id}/capture", operation_id = "captureCredits", tag = "Credits", request_body = Option<CaptureCreditsRequest>,
    params(("id" = String, Path, description = "ID of the hold.")), security(("key" = ["credits:write"])),
    responses((status = 200, description = "The hold after it ended.", body = CreditHold))
)]
pub async fn capture(
    caller: Authorized<CreditsWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<CreditHoldId>,
    IdempotentJson { input, once }: IdempotentJson<Option<CaptureCreditsRequest>>,
) -> Result<Response, Problem> {
    let quantity = input.and_then(|input| input.quantity).map(i64::from);
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let hold = holds::capture(open.tx(), &caller.principal.permit()?, id, quantity).await?;
    open.keep(StatusCode::OK, &hold).await
}

/// Release a hold
///
/// Releases all reserved credits. Returns 409 if the hold has ended.
#[utoipa::path(
    post, path = "/credits/holds/{id}/release", operation_id = "releaseCredits", tag = "Credits",
    params(("id" = String, Path, description = "ID of the hold.")), security(("key" = ["credits:write"])),
    responses((status = 200, description = "The hold after it ended.", body = CreditHold))
)]
pub async fn release(
    caller: Authorized<CreditsWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<CreditHoldId>,
    IdempotentJson { once, .. }: IdempotentJson<Option<EmptyBody>>,
) -> Result<Response, Problem> {
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let hold = holds::release(open.tx(), &caller.principal.permit()?, id).await?;
    open.keep(StatusCode::OK, &hold).await
}
