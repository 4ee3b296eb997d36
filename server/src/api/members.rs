//! `/members`.

use axum::Json;
use axum::extract::State;
use domain::MembershipId;
use store::context::AppContext;
use store::members::list::{self, Member};

use super::extract::QueryParams;
use super::pagination::{ListPage, PageParams, PageRequest};
use super::problem::Problem;
use super::scopes::{Authorized, MembersRead};

/// List members
///
/// People in the workspace of the key, in the order they joined.
#[utoipa::path(
    get, path = "/members", operation_id = "listMembers", tag = "Members", params(PageParams), security(("key" = ["members:read"])),
    responses((status = 200, description = "A page of members.", body = ListPage<Member>))
)]
pub async fn list(
    caller: Authorized<MembersRead>,
    State(ctx): State<AppContext>,
    params: QueryParams,
) -> Result<Json<ListPage<Member>>, Problem> {
    params.only(&["limit", "cursor"])?;
    let slice = PageRequest::<MembershipId>::read(&params)?;
    let members = list::list(
        ctx.db(),
        &caller.principal.permit()?,
        slice.after,
        slice.one_more(),
    )
    .await?;
    Ok(slice.page(members, |member| member.id))
}
