//! The row of a subscription: its terms, its status, and what its dates mean.

use domain::catalog::{Catalog, Plan};
use domain::subscriptions::{REMINDERS, SubscriptionStatus, Terms};
use domain::{AppError, Timestamp, WorkspaceId};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QuerySelect};

use crate::db::entity::subscription::Model as Subscription;
use crate::db::{Tx, entity};

impl Subscription {
    /// The subscribed terms. `None` on trial and if the workspace never subscribed.
    pub fn terms(&self) -> Option<Terms> {
        Some(Terms {
            plan: self.plan.clone()?,
            cdr_mode: self.cdr_mode,
        })
    }

    /// The terms after the period ends.
    pub fn next_terms(&self) -> Option<Terms> {
        match (&self.next_plan, self.next_cdr_mode) {
            (Some(plan), Some(cdr_mode)) => Some(Terms {
                plan: plan.clone(),
                cdr_mode,
            }),
            _ => self.terms(),
        }
    }

    pub fn set_next(&mut self, terms: Option<Terms>) {
        (self.next_plan, self.next_cdr_mode) = match terms {
            Some(terms) => (Some(terms.plan), Some(terms.cdr_mode)),
            None => (None, None),
        };
    }

    /// Whether only billing can be changed.
    pub fn is_frozen(&self, now: Timestamp) -> bool {
        self.freezes_at.is_some_and(|at| at <= now)
    }

    /// The status at `now`. The worker stores a freeze a moment after it takes effect.
    pub fn status_at(&self, now: Timestamp) -> SubscriptionStatus {
        if self.is_frozen(now) {
            SubscriptionStatus::Frozen
        } else {
            self.status
        }
    }

    /// Whether the current month is paid and not over.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.status == SubscriptionStatus::Active && now < self.ends_at
    }

    /// When to process a trial next: for a reminder, or at its end.
    pub(super) fn trial_due(&self, now: Timestamp) -> Timestamp {
        let ahead = REMINDERS
            .iter()
            .skip(usize::try_from(self.reminders).unwrap_or(usize::MAX));
        let mut ahead = ahead.map(|before| self.ends_at.before(*before));
        ahead.find(|at| *at > now).unwrap_or(self.ends_at)
    }

    pub(super) fn freeze(&mut self, at: Timestamp) {
        self.status = SubscriptionStatus::Frozen;
        self.freezes_at = Some(at);
        self.payment_id = None;
        self.due_at = None;
        self.cancelled = false;
        self.set_next(None);
    }
}

/// The plan that a workspace can use: the trial's, or the plan of the current or former subscription.
pub fn plan_in_use<'a>(catalog: &'a Catalog, row: &Subscription) -> Option<&'a Plan> {
    catalog.plan(row.plan.as_ref().unwrap_or(&catalog.trial_plan))
}

/// A workspace's subscription, locked. `None` if the workspace is deleted.
pub async fn locked(tx: &Tx, workspace: WorkspaceId) -> Result<Option<Subscription>, AppError> {
    Ok(entity::Subscription::find_by_id(workspace)
        .lock_exclusive()
        .one(tx)
        .await?)
}

pub async fn save(tx: &Tx, row: Subscription) -> Result<(), AppError> {
    row.into_active_model().reset_all().update(tx).await?;
    Ok(())
}
