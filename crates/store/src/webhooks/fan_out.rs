//! Creates deliveries from events: each enabled webhook of the workspace with matching types, mode and filters gets
//! one, in the transaction that dispatches the event. Immediate deliveries are written as leased by the sender.
//!
//! Matching runs before that transaction and within a budget, so that others do not wait for a workspace's filters.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::webhooks::Status;
use domain::{AppError, DeliveryId, EventId, Timestamp, Topic, WebhookId, WorkspaceId};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::context::AppContext;
use crate::db::entity::delivery::Column as Delivered;
use crate::db::{Db, Tx, entity};
use crate::live::Invalidation;
use crate::webhooks::deliveries::new_delivery;
use crate::webhooks::direct_dispatch::DirectDispatch;
use crate::webhooks::envelope::Walked;
use crate::webhooks::matcher::{PreparedSubscription, SubscriptionFilter};
use crate::webhooks::queue::{self, ClaimedBatch};

/// How many rows one statement inserts. Each has 15 values, and SQLite allows 32,766 per statement.
const ROWS: usize = 500;

/// How long a dispatcher can evaluate filters in one turn.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// For one workspace.
    pub workspace: Duration,
    /// For all workspaces.
    pub turn: Duration,
    /// Whether one event is matched to completion however long it takes, as a turn must make progress. The time is
    /// bounded, because webhooks, their filters and the size of an event are limited.
    pub whole_event: bool,
}

/// The webhooks that can receive the events of some workspaces.
pub struct MatchTargets(HashMap<WorkspaceId, Vec<MatchTarget>>);

/// A webhook and its subscription, parsed once for many events.
struct MatchTarget {
    row: Arc<entity::webhook::Model>,
    wants: PreparedSubscription,
}

impl MatchTargets {
    /// Reads before the transaction: reading a hundred webhooks takes longer than the rest of it, and on SQLite
    /// everybody would wait. A change in between counts as made afterwards. If a webhook is deleted in between, the
    /// insert fails, and the batch is retried.
    pub async fn load(db: &Db, workspaces: HashSet<WorkspaceId>) -> Result<Self, AppError> {
        use entity::webhook::Column;
        let mut listeners = Self(HashMap::new());
        if workspaces.is_empty() {
            return Ok(listeners);
        }
        let rows = entity::Webhook::find()
            .filter(Column::WorkspaceId.is_in(workspaces))
            .filter(Column::Status.eq(Status::Enabled))
            .all(db.read())
            .await?;
        for row in rows {
            let listener = MatchTarget {
                wants: SubscriptionFilter::from(&row).prepare(),
                row: Arc::new(row),
            };
            let place = listeners.0.entry(listener.row.workspace_id).or_default();
            place.push(listener);
        }
        Ok(listeners)
    }
}

/// An event, and a webhook that receives it.
pub struct Match {
    webhook: Arc<entity::webhook::Model>,
    event: Arc<entity::event::Model>,
}

impl Match {
    pub fn event(&self) -> EventId {
        self.event.id
    }

    /// The invalidation for open pages.
    pub fn invalidation(&self) -> Invalidation {
        Invalidation::workspace(self.webhook.workspace_id, Topic::Deliveries)
    }
}

/// The result of matching.
#[derive(Default)]
pub struct Matched {
    /// The events whose receivers are known, in order. The others wait for another turn.
    pub events: Vec<Arc<entity::event::Model>>,
    pub matches: Vec<Match>,
    /// Workspaces that used up their share. Their later events are not matched.
    pub costly: HashSet<WorkspaceId>,
}

impl MatchTargets {
    /// Determines which webhooks receive which events.
    pub fn matches(&self, events: Vec<Arc<entity::event::Model>>, budget: Budget) -> Matched {
        let (mut matched, begun) = (Matched::default(), Instant::now());
        let mut spent: HashMap<WorkspaceId, Duration> = HashMap::new();
        for event in events {
            let workspace = event.workspace_id;
            if workspace.is_some_and(|workspace| matched.costly.contains(&workspace)) {
                continue;
            }
            let listeners = workspace.and_then(|workspace| self.0.get(&workspace));
            let (Some(workspace), Some(listeners)) = (workspace, listeners) else {
                matched.events.push(event);
                continue;
            };
            if !listeners
                .iter()
                .any(|listener| listener.wants.has_filters())
            {
                matched.take(event, listeners, |_| true);
                continue;
            }
            let over = begun.elapsed() >= budget.turn;
            if over && !(matched.events.is_empty() && matched.costly.is_empty()) {
                continue;
            }
            let before = spent.get(&workspace).copied().unwrap_or_default();
            let at = Instant::now();
            let within = matched.take(event, listeners, |first| {
                (first && before.is_zero())
                    || budget.whole_event
                    || before + at.elapsed() < budget.workspace
            });
            let after = before + at.elapsed();
            spent.insert(workspace, after);
            if !within || after >= budget.workspace {
                matched.costly.insert(workspace);
            }
        }
        matched
    }
}

impl Matched {
    /// Matches one event, unless time runs out, and returns whether it finished. `time` returns whether the next
    /// webhook can be matched; its argument is true for the first.
    fn take(
        &mut self,
        event: Arc<entity::event::Model>,
        listeners: &[MatchTarget],
        time: impl Fn(bool) -> bool,
    ) -> bool {
        let known = self.matches.len();
        let walked = Walked::new(&event);
        for (index, listener) in listeners.iter().enumerate() {
            if !time(index == 0) {
                self.matches.truncate(known);
                return false;
            }
            if listener.wants.matches(&walked) {
                self.matches.push(Match {
                    webhook: listener.row.clone(),
                    event: event.clone(),
                });
            }
        }
        self.events.push(event);
        true
    }
}

/// Deliveries ready to be written. They are complete before the transaction begins.
pub struct Planned {
    rows: Vec<entity::delivery::ActiveModel>,
    claim: ClaimedBatch,
}

impl Planned {
    pub fn new(
        ctx: &AppContext,
        direct_dispatch: &DirectDispatch,
        matches: &[Match],
    ) -> Result<Self, AppError> {
        let (now, alive) = (Timestamp::now(), ctx.leases().is_alive());
        let mut planned = Self {
            rows: Vec::with_capacity(matches.len()),
            claim: ClaimedBatch::new(ctx, now),
        };
        for Match { webhook, event } in matches {
            // A delivery that must wait anyway is not scheduled before others.
            let at = webhook
                .circuit_open_until
                .map_or(now, |until| until.max(now));
            let (id, event_type) = (DeliveryId::new(), event.event_type);
            let mut delivery = new_delivery(id, webhook.id, event.id, event_type, at);
            if alive && !queue::health(webhook).is_suspect() && direct_dispatch.reserve(webhook.id)
            {
                planned.claim.lease(&mut delivery, webhook, event)?;
            }
            planned.rows.push(delivery);
        }
        Ok(planned)
    }

    /// Leaves out the events of another process.
    #[must_use]
    pub fn only(mut self, events: &HashSet<EventId>) -> Self {
        self.rows.retain(|row| match &row.event_id {
            ActiveValue::Set(event) => events.contains(event),
            _ => false,
        });
        self.claim
            .deliveries
            .retain(|row| events.contains(&row.event_id));
        self
    }

    /// Writes the deliveries and returns those to pass on after the commit. A repeat adds nothing.
    pub async fn write(self, tx: &Tx) -> Result<Option<ClaimedBatch>, AppError> {
        let Self { rows, claim } = self;
        if !write(tx, rows).await? {
            // Some rows already existed, with their own lease or none, so none of them is ours to pass on.
            queue::release(tx, &claim).await?;
            return Ok(None);
        }
        Ok((!claim.deliveries.is_empty()).then_some(claim))
    }
}

/// Passes committed deliveries directly, or releases them if the sender has stopped, as at shutdown.
pub async fn hand_off(ctx: &AppContext, direct_dispatch: &DirectDispatch, claim: ClaimedBatch) {
    let Some(claim) = direct_dispatch.hand_off(claim) else {
        return;
    };
    let given_back = async {
        let tx = ctx.db().begin().await?;
        queue::release(&tx, &claim).await?;
        tx.commit().await?;
        Ok::<_, AppError>(())
    };
    if let Err(error) = given_back.await {
        tracing::warn!(%error, "deliveries could not be given back; they are due when their lease has run out");
    }
}

/// Whether all rows are written and new. Webhooks that were deleted since they matched get nothing.
async fn write(tx: &Tx, mut rows: Vec<entity::delivery::ActiveModel>) -> Result<bool, AppError> {
    let (wanted, mut written) = (rows.len() as u64, 0);
    let existing = lock_existing(tx, &rows).await?;
    rows.retain(|row| existing.contains(row.webhook_id.as_ref()));
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS));
        let once = OnConflict::columns([Delivered::WebhookId, Delivered::EventId])
            .do_nothing()
            .to_owned();
        written += entity::Delivery::insert_many(std::mem::replace(&mut rows, rest))
            .on_conflict(once)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(written == wanted)
}

/// The webhooks of these rows that still exist. They cannot be deleted before the transaction ends.
async fn lock_existing(
    tx: &Tx,
    rows: &[entity::delivery::ActiveModel],
) -> Result<HashSet<WebhookId>, AppError> {
    use entity::webhook::Column;
    let wanted: HashSet<WebhookId> = rows.iter().map(|row| *row.webhook_id.as_ref()).collect();
    let existing = entity::Webhook::find()
        .filter(Column::Id.is_in(wanted))
        .order_by_asc(Column::Id)
        .lock(LockType::KeyShare)
        .select_only()
        .column(Column::Id)
        .into_tuple::<WebhookId>()
        .all(tx)
        .await?;
    Ok(existing.into_iter().collect())
}
