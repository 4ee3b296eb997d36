//! Slugs of workspaces: who holds one, and which are free.

use domain::{AppError, Slug, Timestamp, WorkspaceId};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};

use crate::db::{Tx, entity, is_unique_violation};
use crate::master_key::random_mark;

pub(super) fn taken(error: sea_orm::DbErr) -> AppError {
    if is_unique_violation(&error) {
        AppError::field("slug", "That URL is taken. Choose another one.")
    } else {
        error.into()
    }
}

/// Gives a slug to a workspace: one that nobody holds, one that its holder gave up long enough ago, or one that this
/// workspace had before.
pub async fn claim_slug(tx: &mut Tx, workspace: WorkspaceId, slug: &Slug) -> Result<(), AppError> {
    use entity::slug_claim::Column;
    entity::SlugClaim::delete_many()
        .filter(Column::Slug.eq(slug.clone()))
        .filter(
            sea_orm::Condition::any()
                .add(Column::ReleasedAt.lt(Timestamp::now().before(domain::workspace::SLUG_HOLD)))
                .add(
                    sea_orm::Condition::all()
                        .add(Column::WorkspaceId.eq(workspace))
                        .add(Column::ReleasedAt.is_not_null()),
                ),
        )
        .exec(tx)
        .await?;
    entity::slug_claim::ActiveModel {
        slug: Set(slug.clone()),
        workspace_id: Set(Some(workspace)),
        released_at: Set(None),
    }
    .insert(tx)
    .await
    .map_err(taken)?;
    Ok(())
}

/// How many numbered slugs are checked for a free one.
const MAX_NUMBERED: u32 = 60;

/// `wish`, or `wish` with the lowest number that makes it free, or with a random suffix.
pub async fn free_slug(connection: &impl ConnectionTrait, wish: &Slug) -> Result<Slug, AppError> {
    let candidates: Vec<Slug> = std::iter::once(wish.clone())
        .chain((2..MAX_NUMBERED).map(|n| wish.numbered(n)))
        .collect();
    let held: Vec<Slug> = entity::SlugClaim::find()
        .filter(entity::slug_claim::Column::Slug.is_in(candidates.clone()))
        .all(connection)
        .await?
        .into_iter()
        .map(|claim| claim.slug)
        .collect();
    Ok(candidates
        .into_iter()
        .find(|candidate| !held.contains(candidate))
        .unwrap_or_else(|| wish.marked(random_mark())))
}
