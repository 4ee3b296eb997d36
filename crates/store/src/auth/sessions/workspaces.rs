//! Creates workspaces and memberships, and locks a workspace while its members change.

use domain::catalog::{Catalog, EventType};
use domain::{AppError, MembershipId, Name, Role, Slug, Timestamp, Topic, UserId, WorkspaceId};
use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, QuerySelect, Set};
use serde_json::json;

use super::slugs::{claim_slug, free_slug, taken};
use crate::auth::actor::Actor;
use crate::billing::subscriptions;
use crate::credits;
use crate::db::{Tx, entity, is_unique_violation};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;
use crate::master_key::random_mark;

/// How often a new workspace tries a numbered slug before a random one: others may be taking the same number at the
/// same moment.
const NUMBERED_TRIES: u32 = 3;
/// How many slugs it tries in all. Random ones do not collide twice.
const SLUG_TRIES: u32 = 6;

/// Creates a workspace and its first owner. Without a requested slug, it gets the first free one that its name
/// suggests.
pub async fn create_workspace(
    tx: &mut Tx,
    catalog: &Catalog,
    owner: UserId,
    owner_name: &Name,
    name: &Name,
    wish: Option<&Slug>,
) -> Result<Slug, AppError> {
    let (id, slug) = match wish {
        Some(slug) => (insert_workspace(tx, name, slug).await?, slug.clone()),
        None => insert_workspace_anywhere(tx, name).await?,
    };
    insert_membership(tx, id, owner, Role::Owner).await?;
    let origin = Origin::person(owner, owner_name.as_str());
    let data = json!({"name": name.as_str(), "slug": slug.as_str()});
    events::record(
        tx,
        origin.clone(),
        NewEvent::in_workspace(id, EventType::WorkspaceCreated, data),
    )
    .await?;
    subscriptions::begin_trial(tx, catalog, id).await?;
    credits::open_trial(tx, catalog, id, &origin).await?;
    tx.invalidate(Invalidation::user(owner, Topic::Workspace));
    Ok(slug)
}

/// Creates a workspace with a slug that only it holds from then on.
async fn insert_workspace(tx: &mut Tx, name: &Name, slug: &Slug) -> Result<WorkspaceId, AppError> {
    let now = Timestamp::now();
    let id = WorkspaceId::new();
    entity::workspace::ActiveModel {
        id: Set(id),
        name: Set(name.to_string()),
        slug: Set(slug.clone()),
        created_at: Set(now),
        updated_at: Set(now),
    }
    .insert(tx)
    .await
    .map_err(taken)?;
    claim_slug(tx, id, slug).await?;
    Ok(id)
}

/// Creates a workspace with a slug like its name. Someone may take the same slug between looking and inserting, so each
/// try can be rolled back on its own and another slug is tried.
async fn insert_workspace_anywhere(
    tx: &mut Tx,
    name: &Name,
) -> Result<(WorkspaceId, Slug), AppError> {
    let wish = Slug::suggest(name.as_str());
    for attempt in 1.. {
        let slug = if attempt <= NUMBERED_TRIES {
            free_slug(tx, &wish).await?
        } else {
            wish.marked(random_mark())
        };
        tx.execute_unprepared("SAVEPOINT founding").await?;
        match insert_workspace(tx, name, &slug).await {
            Ok(id) => {
                tx.execute_unprepared("RELEASE SAVEPOINT founding").await?;
                return Ok((id, slug));
            }
            Err(AppError::Invalid(_)) if attempt < SLUG_TRIES => {
                tx.execute_unprepared("ROLLBACK TO SAVEPOINT founding")
                    .await?;
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("the last try returns")
}

pub async fn insert_membership(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
) -> Result<MembershipId, AppError> {
    let id = MembershipId::new();
    entity::membership::ActiveModel {
        id: Set(id),
        workspace_id: Set(workspace),
        user_id: Set(user),
        role: Set(role),
        joined_at: Set(Timestamp::now()),
        last_active_at: Set(None),
    }
    .insert(tx)
    .await
    .map_err(|error| {
        if is_unique_violation(&error) {
            AppError::Conflict("This person is already a member of the workspace.".to_owned())
        } else {
            error.into()
        }
    })?;
    tx.invalidate(Invalidation::user(user, Topic::Workspace));
    Ok(id)
}

/// Serializes membership changes of a workspace, so that two owners cannot demote each other at the same time. On
/// SQLite the write transaction itself ensures this.
pub async fn lock_workspace(tx: &Tx, workspace: WorkspaceId) -> Result<(), AppError> {
    entity::Workspace::find_by_id(workspace)
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(())
}

/// This user's membership inside the transaction, which may be less than when the request began.
pub async fn reload_actor(tx: &Tx, actor: &Actor) -> Result<Actor, AppError> {
    Actor::find(tx, actor.person(), &actor.workspace().to_string()).await
}
