//! `/members`.

use app::context::AppContext;
use app::domain::MembershipId;
use app::settings::members::directory::{self, MemberOut};
use axum::Json;
use axum::extract::State;

use super::input::Params;
use super::need::{Allowed, MembersRead};
use super::page::{Page, PageParams, Slice};
use super::problem::Problem;

/// List members
///
/// Who is in the key's workspace, in the order of their joining.
#[utoipa::path(
    get, path = "/members", operation_id = "list_members", tag = "Members", params(PageParams), security(("key" = ["members:read"])),
    responses((status = 200, description = "A page of members.", body = Page<MemberOut>))
)]
pub async fn list(
    caller: Allowed<MembersRead>,
    State(ctx): State<AppContext>,
    params: Params,
) -> Result<Json<Page<MemberOut>>, Problem> {
    params.only(&["limit", "cursor"])?;
    let slice = Slice::<MembershipId>::read(&params)?;
    let members = directory::list(ctx.db(), &caller.agent, slice.after, slice.one_more()).await?;
    Ok(slice.page(members, |member| member.id))
}
