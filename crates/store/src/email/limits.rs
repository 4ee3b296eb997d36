//! Limits how many notifications are emailed individually. The excess is counted, and one email sums it up when the
//! window ends ([`wheelhouse::work::digest`]). Inboxes are not limited, so nothing is lost.
//!
//! The counts are stored in the database and changed in the transaction that writes the email, with their rows locked:
//! several processes share one allowance. Workspaces are locked before users, both in ID order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::catalog::Category;
use domain::{AppError, Timestamp, UserId, WorkspaceId, days, hours};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::db::Tx;
use crate::db::entity::{self, email_window, held_email, workspace_email_window};

/// The length of a window, from its first email.
pub const WINDOW: Duration = hours(1);
/// The most workspace notifications that one user gets by individual email in a window.
pub const PER_PERSON: i64 = 10;
/// The most notifications of a workspace that all its members get by individual email in a window.
pub const PER_WORKSPACE: i64 = 500;
/// The most notifications of their own security that one user gets by email in a window. A flood from a workspace does
/// not delay them.
pub const SECURITY_PER_PERSON: i64 = 20;
/// The same for an unconfirmed email address, and its window. The email address may be a stranger's, so the excess is
/// dropped.
pub const SECURITY_UNCONFIRMED: i64 = 3;
pub const UNCONFIRMED_WINDOW: Duration = days(1);

/// How many rows one statement writes or binds.
const ROWS: usize = 500;

/// A user to whom a notification is about to be emailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitedRecipient {
    pub user: UserId,
    pub confirmed: bool,
}

/// The email allowances of everybody whom a batch of events concerns.
#[derive(Debug, Default)]
pub struct Allowances {
    people: BTreeMap<UserId, email_window::Model>,
    workspaces: BTreeMap<WorkspaceId, workspace_email_window::Model>,
    held: BTreeMap<(UserId, WorkspaceId, Category), i64>,
}

impl Allowances {
    /// Locks the allowances of these users and workspaces until the transaction ends.
    pub async fn lock(
        tx: &Tx,
        now: Timestamp,
        people: BTreeSet<LimitedRecipient>,
        workspaces: BTreeSet<WorkspaceId>,
    ) -> Result<Self, AppError> {
        let mut all = Self::default();
        all.lock_workspaces(tx, now, workspaces.into_iter().collect())
            .await?;
        all.lock_people(tx, now, people.into_iter().collect())
            .await?;
        Ok(all)
    }

    async fn lock_workspaces(
        &mut self,
        tx: &Tx,
        now: Timestamp,
        ids: Vec<WorkspaceId>,
    ) -> Result<(), AppError> {
        use workspace_email_window::{Column, Model};
        for ids in ids.chunks(ROWS) {
            let begun = |id: &WorkspaceId| Model {
                workspace_id: *id,
                ends_at: now.after(WINDOW),
                sent: 0,
            };
            let rows = ids.iter().map(|id| begun(id).into_active_model());
            entity::WorkspaceEmailWindow::insert_many(rows)
                .on_conflict(
                    OnConflict::column(Column::WorkspaceId)
                        .do_nothing()
                        .to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
            let found = entity::WorkspaceEmailWindow::find()
                .filter(Column::WorkspaceId.is_in(ids.iter().copied()))
                .order_by_asc(Column::WorkspaceId)
                .lock_exclusive()
                .all(tx)
                .await?;
            self.workspaces
                .extend(ids.iter().map(|id| (*id, begun(id))));
            let current = found.into_iter().filter(|row| row.ends_at > now);
            self.workspaces
                .extend(current.map(|row| (row.workspace_id, row)));
        }
        Ok(())
    }

    async fn lock_people(
        &mut self,
        tx: &Tx,
        now: Timestamp,
        people: Vec<LimitedRecipient>,
    ) -> Result<(), AppError> {
        use email_window::{Column, Model};
        for people in people.chunks(ROWS) {
            let begun = |one: &LimitedRecipient| Model {
                user_id: one.user,
                ends_at: now.after(if one.confirmed {
                    WINDOW
                } else {
                    UNCONFIRMED_WINDOW
                }),
                sent: 0,
                security_sent: 0,
                held: 0,
            };
            let rows = people.iter().map(|one| begun(one).into_active_model());
            entity::EmailWindow::insert_many(rows)
                .on_conflict(OnConflict::column(Column::UserId).do_nothing().to_owned())
                .exec_without_returning(tx)
                .await?;
            let found = entity::EmailWindow::find()
                .filter(Column::UserId.is_in(people.iter().map(|one| one.user)))
                .order_by_asc(Column::UserId)
                .lock_exclusive()
                .all(tx)
                .await?;
            self.people
                .extend(people.iter().map(|one| (one.user, begun(one))));
            // A window that has ended stays while it has notifications to sum up, so that none is lost.
            let current = found
                .into_iter()
                .filter(|row| row.ends_at > now || row.held > 0);
            self.people.extend(current.map(|row| (row.user_id, row)));
        }
        Ok(())
    }

    /// Whether one more email can be sent. If not, it is counted for the digest. `workspace`: `None` for events that
    /// concern the user alone.
    pub fn take(
        &mut self,
        to: LimitedRecipient,
        workspace: Option<WorkspaceId>,
        category: Category,
    ) -> bool {
        let Some(person) = self.people.get_mut(&to.user) else {
            return false;
        };
        let Some(id) = workspace else {
            let most = if to.confirmed {
                SECURITY_PER_PERSON
            } else {
                SECURITY_UNCONFIRMED
            };
            if person.security_sent < most {
                person.security_sent += 1;
                return true;
            }
            person.held += i64::from(to.confirmed);
            return false;
        };
        let place = self.workspaces.get_mut(&id);
        if let Some(place) = place
            && person.sent < PER_PERSON
            && place.sent < PER_WORKSPACE
        {
            person.sent += 1;
            place.sent += 1;
            return true;
        }
        person.held += 1;
        *self.held.entry((to.user, id, category)).or_default() += 1;
        false
    }

    /// Saves the used allowances.
    pub async fn save(self, tx: &Tx) -> Result<(), AppError> {
        let workspaces: Vec<_> = self.workspaces.into_values().collect();
        for rows in workspaces.chunks(ROWS) {
            use workspace_email_window::Column;
            let rows = rows.iter().cloned().map(IntoActiveModel::into_active_model);
            entity::WorkspaceEmailWindow::insert_many(rows)
                .on_conflict(
                    OnConflict::column(Column::WorkspaceId)
                        .update_columns([Column::EndsAt, Column::Sent])
                        .to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
        }
        let people: Vec<_> = self.people.into_values().collect();
        for rows in people.chunks(ROWS) {
            use email_window::Column;
            let rows = rows.iter().cloned().map(IntoActiveModel::into_active_model);
            entity::EmailWindow::insert_many(rows)
                .on_conflict(
                    OnConflict::column(Column::UserId)
                        .update_columns([
                            Column::EndsAt,
                            Column::Sent,
                            Column::SecuritySent,
                            Column::Held,
                        ])
                        .to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
        }
        let held: Vec<_> = self.held.into_iter().collect();
        for rows in held.chunks(ROWS) {
            use held_email::{ActiveModel, Column};
            let rows = rows
                .iter()
                .map(|((user, workspace, category), held)| ActiveModel {
                    user_id: Set(*user),
                    workspace_id: Set(*workspace),
                    category: Set(*category),
                    held: Set(*held),
                });
            let key = [Column::UserId, Column::WorkspaceId, Column::Category];
            entity::HeldEmail::insert_many(rows)
                .on_conflict(
                    OnConflict::columns(key)
                        .value(Column::Held, Expr::cust("held_emails.held + excluded.held"))
                        .to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
        }
        Ok(())
    }
}
