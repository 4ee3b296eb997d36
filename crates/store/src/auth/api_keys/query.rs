//! Reads a key with its workspace from the database.

use domain::{AppError, Permission, Role};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect};

use super::known::{Known, Row};
use crate::auth::key_token::KeyHash;
use crate::context::AppContext;
use crate::db::entity;

pub(super) async fn read(ctx: &AppContext, hash: KeyHash) -> Result<Option<Known>, AppError> {
    use entity::{api_key, subscription, workspace};
    entity::ApiKey::find()
        .join(
            JoinType::InnerJoin,
            api_key::Entity::belongs_to(workspace::Entity)
                .from(api_key::Column::WorkspaceId)
                .to(workspace::Column::Id)
                .into(),
        )
        .join(
            JoinType::LeftJoin,
            api_key::Entity::belongs_to(subscription::Entity)
                .from(api_key::Column::WorkspaceId)
                .to(subscription::Column::WorkspaceId)
                .into(),
        )
        .filter(api_key::Column::TokenHash.eq(hash.to_vec()))
        .select_only()
        .columns([
            api_key::Column::Id,
            api_key::Column::Name,
            api_key::Column::Mode,
            api_key::Column::Scopes,
            api_key::Column::AllowedNetworks,
            api_key::Column::ExpiresAt,
            api_key::Column::RetiresAt,
            api_key::Column::RevokedAt,
        ])
        .column(subscription::Column::FreezesAt)
        .expr_as(confirmed_manager(), "confirmed_at")
        .column_as(workspace::Column::Id, "workspace")
        .column_as(workspace::Column::Name, "workspace_name")
        .column_as(workspace::Column::Slug, "workspace_slug")
        .into_model::<Row>()
        .one(ctx.db().read())
        .await?
        .map(|row| Known::new(ctx, row))
        .transpose()
}

/// When a person who manages the workspace's keys confirmed their email address.
fn confirmed_manager() -> Expr {
    use entity::{api_key, membership, user};
    let managers = Role::ALL
        .into_iter()
        .filter(|role| role.may(Permission::ManageApiKeys));
    let query = Query::select()
        .column((user::Entity, user::Column::EmailConfirmedAt))
        .from(membership::Entity)
        .inner_join(
            user::Entity,
            Expr::col((user::Entity, user::Column::Id))
                .equals((membership::Entity, membership::Column::UserId)),
        )
        .and_where(
            Expr::col((membership::Entity, membership::Column::WorkspaceId))
                .equals((api_key::Entity, api_key::Column::WorkspaceId)),
        )
        .and_where(Expr::col((membership::Entity, membership::Column::Role)).is_in(managers))
        .and_where(Expr::col((user::Entity, user::Column::EmailConfirmedAt)).is_not_null())
        .limit(1)
        .take();
    Expr::SubQuery(None, Box::new(query.into()))
}
