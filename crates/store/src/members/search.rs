//! Finds members by their name or email address.

use domain::{AppError, Email, MembershipId, Permission, Role, Timestamp, UserId, fold};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, JoinType, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};

use crate::auth::Actor;
use crate::context::AppContext;
use crate::db::entity::membership::Column;
use crate::db::{entity, rows};

/// Longest search text, in characters. No name or email address is longer.
const MAX_SEARCH_LEN: usize = 254;

/// A member with their person, as queries bring them.
pub(super) type Found = (
    MembershipId,
    UserId,
    String,
    Email,
    Role,
    Timestamp,
    Option<Timestamp>,
);

/// Members in the order of their joining, from `after` on, whose name or address holds `search`.
pub(super) async fn find(
    ctx: &AppContext,
    actor: &Actor,
    search: &str,
    after: Option<MembershipId>,
    limit: u64,
) -> Result<(Vec<Found>, u64), AppError> {
    use entity::{membership, user};
    let mut query = entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(user::Entity)
                .from(Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(Column::WorkspaceId.eq(actor.workspace()));
    let search = fold(search.trim());
    if search.chars().count() > MAX_SEARCH_LEN || search.chars().any(char::is_control) {
        return Ok((Vec::new(), 0));
    }
    if !search.is_empty() {
        query = query.filter(holding(actor, &search));
    }
    let all = query.clone();
    if let Some(after) = after {
        query = query.filter(Column::Id.gt(after));
    }
    let query = query
        .order_by_asc(Column::Id)
        .select_only()
        .column_as(Column::Id, "id")
        .column_as(Column::UserId, "user_id")
        .column_as(user::Column::Name, "name")
        .column_as(user::Column::Email, "email")
        .column_as(Column::Role, "role")
        .column_as(Column::JoinedAt, "joined_at")
        .column_as(Column::LastActiveAt, "last_active_at")
        .into_query();
    let rows: Vec<Found> = rows::tuples_up_to(limit, query, ctx.db().read()).await?;
    // Most workspaces fit on one page: then they are counted already.
    let count = if after.is_none() && (rows.len() as u64) < limit {
        rows.len() as u64
    } else {
        all.count(ctx.db().read()).await?
    };
    Ok((rows, count))
}

/// Members whose name holds a folded text, or whose address does, for those who may see addresses.
fn holding(actor: &Actor, folded: &str) -> Condition {
    use entity::user;
    let literal = folded
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    let like = |column: user::Column| {
        Expr::col((user::Entity, column))
            .like(sea_orm::sea_query::LikeExpr::new(format!("%{literal}%")).escape('\\'))
    };
    let matches = Condition::any().add(like(user::Column::FoldedName));
    if actor.may(Permission::SeeMemberEmails) {
        matches.add(like(user::Column::Email))
    } else {
        matches
    }
}
