//! Members in the public API.

use domain::{AppError, Email, MembershipId, Role, Timestamp, UserId};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
};
use serde::Serialize;

use crate::auth::{Permit, Principal, can};
use crate::db::entity::{self, membership, user};
use crate::db::{Db, rows};

/// A member of the workspace.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Member {
    /// The membership's id, in this workspace.
    #[schema(value_type = String, example = "mem_01h455vb4pex5vsknk084sn02q")]
    pub id: MembershipId,
    /// The person's id, the same in every workspace.
    #[schema(value_type = String, example = "usr_01h455vb4pex5vsknk084sn02q")]
    pub user_id: UserId,
    pub name: String,
    #[schema(value_type = String)]
    pub email: Email,
    pub role: Role,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub joined_at: String,
}

#[derive(FromQueryResult)]
struct Row {
    id: MembershipId,
    user_id: UserId,
    name: String,
    email: Email,
    role: Role,
    joined_at: Timestamp,
}

/// Up to `limit` members in the order of their joining, those after `after`.
pub async fn list(
    db: &Db,
    principal: &Permit<can::SeeMemberEmails, Principal>,
    after: Option<MembershipId>,
    limit: u64,
) -> Result<Vec<Member>, AppError> {
    let mut query = entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(user::Entity)
                .from(membership::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(membership::Column::WorkspaceId.eq(principal.workspace()));
    if let Some(after) = after {
        query = query.filter(membership::Column::Id.gt(after));
    }
    let query = query
        .order_by_asc(membership::Column::Id)
        .select_only()
        .column_as(membership::Column::Id, "id")
        .column_as(membership::Column::UserId, "user_id")
        .column_as(user::Column::Name, "name")
        .column_as(user::Column::Email, "email")
        .column_as(membership::Column::Role, "role")
        .column_as(membership::Column::JoinedAt, "joined_at")
        .into_query();
    let rows: Vec<Row> = rows::up_to(limit, query, db.read()).await?;
    let members = rows.into_iter().map(|row| Member {
        id: row.id,
        user_id: row.user_id,
        name: row.name,
        email: row.email,
        role: row.role,
        joined_at: row.joined_at.rfc3339(),
    });
    Ok(members.collect())
}
