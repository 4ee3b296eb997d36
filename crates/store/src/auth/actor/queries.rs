//! The queries behind the proofs: the session of a token with its user, and the subscription of a membership.

use domain::Timestamp;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationDef, Select};

use super::lifetimes::SESSION_IDLE;
use crate::db::entity;

/// The session for the hash of a cookie's token, with its user, if the session has not ended.
pub(super) fn session_of(token_hash: Vec<u8>) -> Select<entity::Session> {
    use entity::{session, user};
    let now = Timestamp::now();
    entity::Session::find()
        .join(
            JoinType::InnerJoin,
            session::Entity::belongs_to(user::Entity)
                .from(session::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(session::Column::TokenHash.eq(token_hash))
        .filter(session::Column::ExpiresAt.gt(now))
        .filter(session::Column::LastSeenAt.gt(now.before(SESSION_IDLE)))
        .select_only()
        .column_as(user::Column::Id, "id")
        .column_as(user::Column::Name, "name")
        .column_as(user::Column::Email, "email")
        .column_as(user::Column::EmailConfirmedAt, "email_confirmed_at")
        .column_as(session::Column::Id, "session")
        .column_as(session::Column::AuthenticatedAt, "authenticated_at")
        .column_as(session::Column::LastSeenAt, "last_seen_at")
}

/// The relation from a membership to its workspace's subscription.
pub(super) fn subscription_of_membership() -> RelationDef {
    use entity::{membership, subscription};
    membership::Entity::belongs_to(subscription::Entity)
        .from(membership::Column::WorkspaceId)
        .to(subscription::Column::WorkspaceId)
        .into()
}
