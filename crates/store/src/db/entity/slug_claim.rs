//! A slug that a workspace has, or had and still reserves.

use domain::{Slug, Timestamp, WorkspaceId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "slug_claims")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub slug: Slug,
    pub workspace_id: Option<WorkspaceId>,
    /// Empty while the slug is the workspace's current one.
    pub released_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
