//! The workspaces of the demo, and who joined them when.

use domain::catalog::{Catalog, EventType};
use domain::{AppError, Name, Role, Slug, Timestamp, UserId, WorkspaceId, days, hours};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::story::Story;
use crate::auth::sessions;
use crate::db::{Tx, entity};
use crate::events::{NewEvent, Origin};

pub(super) async fn workspace(
    tx: &mut Tx,
    catalog: &Catalog,
    story: &mut Story,
    (owner, owner_name): (UserId, &str),
    name: &str,
    slug: &str,
    days_ago: u64,
) -> Result<WorkspaceId, AppError> {
    let name = Name::parse(name).map_err(|_| AppError::Malformed)?;
    let owner_name = Name::parse(owner_name).map_err(|_| AppError::Malformed)?;
    let slug = Slug::parse(slug).map_err(|_| AppError::Malformed)?;
    sessions::create_workspace(tx, catalog, owner, &owner_name, &name, Some(&slug)).await?;
    let made = Timestamp::now().before(days(days_ago));
    let workspace = entity::Workspace::find()
        .filter(entity::workspace::Column::Slug.eq(slug))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    entity::Workspace::update_many()
        .col_expr(entity::workspace::Column::CreatedAt, Expr::value(made))
        .filter(entity::workspace::Column::Id.eq(workspace.id))
        .exec(tx)
        .await?;
    entity::Membership::update_many()
        .col_expr(entity::membership::Column::JoinedAt, Expr::value(made))
        .filter(entity::membership::Column::WorkspaceId.eq(workspace.id))
        .exec(tx)
        .await?;
    // Delete its event, which has today's date. The story adds it on its own day.
    entity::Event::delete_many()
        .filter(entity::event::Column::WorkspaceId.eq(workspace.id))
        .exec(tx)
        .await?;
    let data = json!({"name": workspace.name, "slug": workspace.slug});
    story.add(
        made,
        Origin::person(owner, owner_name.as_str()),
        NewEvent::in_workspace(workspace.id, EventType::WorkspaceCreated, data),
    );
    Ok(workspace.id)
}

pub(super) async fn member(
    tx: &mut Tx,
    story: &mut Story,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    days_ago: u64,
) -> Result<(), AppError> {
    let id = sessions::insert_membership(tx, workspace, user, role).await?;
    let joined = Timestamp::now().before(days(days_ago));
    entity::Membership::update_many()
        .col_expr(entity::membership::Column::JoinedAt, Expr::value(joined))
        .col_expr(
            entity::membership::Column::LastActiveAt,
            Expr::value(Timestamp::now().before(hours(days_ago))),
        )
        .filter(entity::membership::Column::Id.eq(id))
        .exec(tx)
        .await?;
    let person = entity::User::find_by_id(user)
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    let data = json!({"member": id, "user": user, "name": person.name, "email": person.email, "role": role});
    let event = NewEvent::in_workspace(workspace, EventType::MemberJoined, data);
    story.add(joined, Origin::person(user, &person.name), event);
    Ok(())
}
