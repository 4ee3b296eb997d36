//! One email that sums up the notifications of a window that were too many to send individually.

use std::collections::HashMap;

use domain::catalog::{Category, Channel};
use domain::{AppError, Timestamp, UserId, WorkspaceId};
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::context::AppContext;
use crate::db::Tx;
use crate::db::entity::{self, email_window, held_email};
use crate::email::templates::{self, DigestEntry};
use crate::email::{self, Recipient};
use crate::notifications::{Preferences, preferences};

/// How many users one transaction handles.
const BATCH: u64 = 100;

/// Ends windows that are over at `now`, and adds their digests to the outbox. Returns how many it ended.
pub async fn send_due(ctx: &AppContext, now: Timestamp) -> Result<usize, AppError> {
    use email_window::Column;
    let over = || entity::EmailWindow::find().filter(Column::EndsAt.lte(now));
    if over().one(ctx.db().read()).await?.is_none() {
        return Ok(0);
    }
    let mut tx = ctx.db().begin().await?;
    // On PostgreSQL a dispatcher may be counting, or another process may have locked some: those are skipped.
    let windows = over()
        .order_by_asc(Column::UserId)
        .limit(BATCH)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(&tx)
        .await?;
    let people = People::load(&tx, &windows).await?;
    for window in windows.iter().filter(|window| window.held > 0) {
        people.write(&mut tx, ctx, window).await?;
    }
    entity::EmailWindow::delete_many()
        .filter(Column::UserId.is_in(windows.iter().map(|window| window.user_id)))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    forget_workspaces(ctx, now).await?;
    Ok(windows.len())
}

/// Uses its own transaction: dispatchers lock these rows before the windows of users.
async fn forget_workspaces(ctx: &AppContext, now: Timestamp) -> Result<(), AppError> {
    use entity::workspace_email_window::Column;
    let tx = ctx.db().begin().await?;
    entity::WorkspaceEmailWindow::delete_many()
        .filter(Column::EndsAt.lte(now))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Everybody whose window is over, loaded once.
struct People {
    users: HashMap<UserId, entity::user::Model>,
    held: HashMap<UserId, Vec<held_email::Model>>,
    workspaces: HashMap<WorkspaceId, entity::workspace::Model>,
    /// The current workspaces of each user.
    memberships: Vec<(UserId, WorkspaceId)>,
    preferences: HashMap<UserId, Preferences>,
}

impl People {
    async fn load(tx: &Tx, windows: &[email_window::Model]) -> Result<Self, AppError> {
        let ids: Vec<UserId> = windows
            .iter()
            .filter(|window| window.held > 0)
            .map(|window| window.user_id)
            .collect();
        let users = entity::User::find()
            .filter(entity::user::Column::Id.is_in(ids.iter().copied()))
            .all(tx)
            .await?;
        let rows = entity::HeldEmail::find()
            .filter(held_email::Column::UserId.is_in(ids.iter().copied()))
            .order_by_asc(held_email::Column::WorkspaceId)
            .all(tx)
            .await?;
        let places: Vec<WorkspaceId> = rows.iter().map(|row| row.workspace_id).collect();
        let workspaces = entity::Workspace::find()
            .filter(entity::workspace::Column::Id.is_in(places.iter().copied()))
            .all(tx)
            .await?;
        let memberships = entity::Membership::find()
            .filter(entity::membership::Column::UserId.is_in(ids.iter().copied()))
            .filter(entity::membership::Column::WorkspaceId.is_in(places))
            .all(tx)
            .await?;
        let mut held: HashMap<_, Vec<_>> = HashMap::new();
        for row in rows {
            held.entry(row.user_id).or_default().push(row);
        }
        Ok(Self {
            users: users.into_iter().map(|user| (user.id, user)).collect(),
            held,
            workspaces: workspaces.into_iter().map(|w| (w.id, w)).collect(),
            memberships: memberships
                .into_iter()
                .map(|member| (member.user_id, member.workspace_id))
                .collect(),
            preferences: preferences(tx, &ids).await?,
        })
    }

    /// The entries still to report: not those turned off meanwhile, nor of workspaces that the user has left.
    fn held(&self, ctx: &AppContext, window: &email_window::Model) -> Vec<DigestEntry> {
        let user = window.user_id;
        let wanted = |category: Category| {
            self.preferences
                .get(&user)
                .is_none_or(|wishes| wishes.is_on(category, Channel::Email))
        };
        let rows = self.held.get(&user).map_or(&[][..], Vec::as_slice);
        let mut all: Vec<DigestEntry> = Vec::new();
        for rows in rows.chunk_by(|a, b| a.workspace_id == b.workspace_id) {
            let id = rows[0].workspace_id;
            let Some(place) = self.workspaces.get(&id) else {
                continue;
            };
            let counts: Vec<_> = rows
                .iter()
                .filter(|row| wanted(row.category))
                .map(|row| (row.category.label(), row.held))
                .collect();
            if !counts.is_empty() && self.memberships.contains(&(user, id)) {
                let inbox = ctx.site().url(&format!("/w/{}/inbox", place.slug));
                all.push(DigestEntry {
                    place: Some((place.name.clone(), inbox)),
                    counts,
                });
            }
        }
        let own = window.held - rows.iter().map(|row| row.held).sum::<i64>();
        if own > 0 && wanted(Category::Security) {
            all.push(DigestEntry {
                place: None,
                counts: vec![(Category::Security.label(), own)],
            });
        }
        all
    }

    async fn write(
        &self,
        tx: &mut Tx,
        ctx: &AppContext,
        window: &email_window::Model,
    ) -> Result<(), AppError> {
        let held = self.held(ctx, window);
        let Some(user) = self.users.get(&window.user_id) else {
            return Ok(());
        };
        if held.is_empty() || !ctx.site().counts_as_confirmed(user.email_confirmed_at) {
            return Ok(());
        }
        let link = match held.as_slice() {
            [
                DigestEntry {
                    place: Some((_, inbox)),
                    ..
                },
            ] => inbox.clone(),
            _ => ctx.site().url("/"),
        };
        let settings = self
            .memberships
            .iter()
            .find(|(member, _)| *member == user.id)
            .and_then(|(_, place)| self.workspaces.get(place))
            .map_or_else(
                || ctx.site().url("/"),
                |place| {
                    ctx.site()
                        .url(&format!("/w/{}/settings/notifications", place.slug))
                },
            );
        let to = Recipient {
            email: user.email.clone(),
            user: Some(user.id),
        };
        let message = templates::digest(&held, &link, &settings);
        email::enqueue(tx, ctx, to, message, None).await?;
        Ok(())
    }
}
