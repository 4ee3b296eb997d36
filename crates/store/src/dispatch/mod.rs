//! Dispatches events: works out the consequences of waiting events, and writes them in the transaction that marks the
//! events as dispatched.

pub mod notify;

use std::collections::HashSet;
use std::sync::Arc;

use domain::catalog::Mode;
use domain::{AppError, EventId, Timestamp, WorkspaceId};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, Query};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use tokio::runtime::Handle;

use crate::context::AppContext;
use crate::db::entity;
use crate::db::entity::event::Column;
use crate::webhooks::direct_dispatch::DirectDispatch;
use crate::webhooks::fan_out::{Budget, Match, MatchTargets, Planned, hand_off};
use crate::webhooks::matcher::long_matching;

/// The most webhooks of a workspace whose events the shared dispatcher handles.
const FEW_WEBHOOKS: u64 = 16;
/// How many deliveries one transaction writes for an event that has many.
const FAN_OUT_BATCH_SIZE: usize = 16;

/// How many events wait. A partial index contains only these, so the cost depends on their number alone.
pub async fn count_pending(ctx: &AppContext) -> Result<u64, AppError> {
    Ok(entity::Event::find()
        .filter(Column::DispatchedAt.is_null())
        .count(ctx.db().read())
        .await?)
}

/// Which events a dispatcher processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DispatcherShard {
    /// Events of workspaces with few webhooks, and events without a workspace.
    FewWebhooks,
    /// Events of workspaces with many webhooks.
    ManyWebhooks,
}

/// The result of a turn.
pub struct Turn {
    pub taken: Vec<EventId>,
    /// Workspaces that used up their share in this turn.
    pub costly: HashSet<WorkspaceId>,
}

/// A waiting event and its workspace. Nothing else is read here, so that an event that cannot be read can still be
/// identified.
pub type PendingEvent = (EventId, Option<WorkspaceId>);

/// Whose events to find.
pub enum Whose {
    /// Events of workspaces of this shard, except these.
    Others(DispatcherShard, Vec<WorkspaceId>),
    One(WorkspaceId),
}

impl Whose {
    /// The oldest waiting events, without the quarantined ones.
    pub async fn oldest(
        self,
        ctx: &AppContext,
        aside: Vec<EventId>,
        most: u64,
    ) -> Result<Vec<PendingEvent>, AppError> {
        let such = match self {
            Self::Others(shard, but) => {
                let such = Condition::all().add(match shard {
                    DispatcherShard::FewWebhooks => many_webhooks().not(),
                    DispatcherShard::ManyWebhooks => many_webhooks(),
                });
                if but.is_empty() {
                    such
                } else {
                    // Events without a workspace are included explicitly: NULL is not `NOT IN` a list either.
                    such.add(
                        Condition::any()
                            .add(Column::WorkspaceId.is_null())
                            .add(Column::WorkspaceId.is_not_in(but)),
                    )
                }
            }
            Self::One(workspace) => Condition::all().add(Column::WorkspaceId.eq(workspace)),
        };
        Ok(entity::Event::find()
            .filter(Column::DispatchedAt.is_null())
            .filter(such)
            .filter(Column::Id.is_not_in(aside))
            .order_by_asc(Column::Id)
            .limit(most)
            .select_only()
            .column(Column::Id)
            .column(Column::WorkspaceId)
            .into_tuple()
            .all(ctx.db().read())
            .await?)
    }
}

/// Whether an event's workspace has more than a few webhooks, of any status. Counting stops early.
fn many_webhooks() -> Expr {
    use entity::webhook;
    let one_more = Query::select()
        .expr(Expr::val(1))
        .from(webhook::Entity)
        .and_where(
            Expr::col((webhook::Entity, webhook::Column::WorkspaceId))
                .equals(Column::WorkspaceId.as_column_ref()),
        )
        .limit(1)
        .offset(FEW_WEBHOOKS)
        .take();
    Expr::exists(one_more)
}

/// The consequences of some events.
struct Plan {
    /// The events whose consequences are computed, in order. The others wait for another turn.
    events: Vec<EventId>,
    told: notify::Told,
    matches: Vec<Match>,
    costly: HashSet<WorkspaceId>,
}

/// Computes the consequences of these events on a blocking thread, since events can be large and filters many. Each
/// kind of consequence gets the whole batch, so that it can query once and write in bulk.
async fn plan(
    ctx: &AppContext,
    budget: Budget,
    waiting: Vec<PendingEvent>,
) -> Result<Plan, AppError> {
    let (ctx, runtime) = (ctx.clone(), Handle::current());
    let work = async move {
        let workspaces = waiting.iter().filter_map(|(_, place)| *place).collect();
        let listeners = MatchTargets::load(ctx.db(), workspaces).await?;
        let events = entity::Event::find()
            .filter(Column::Id.is_in(waiting.iter().map(|(id, _)| *id)))
            .filter(Column::DispatchedAt.is_null())
            .order_by_asc(Column::Id)
            .all(ctx.db().read())
            .await?;
        let events = events.into_iter().map(Arc::new).collect();
        let mut matched = listeners.matches(events, budget);
        let live: Vec<_> = matched
            .events
            .iter()
            .filter(|event| event.mode == Mode::Live)
            .cloned()
            .collect();
        let (told, count) = notify::work_out(&ctx, &live).await?;
        if let Some(left) = live.get(count) {
            matched.events.retain(|event| event.id < left.id);
            matched.matches.retain(|one| one.event() < left.id);
        }
        Ok(Plan {
            events: matched.events.iter().map(|event| event.id).collect(),
            told,
            matches: matched.matches,
            costly: matched.costly,
        })
    };
    let turn = if budget.whole_event {
        Some(long_matching().await)
    } else {
        None
    };
    // A dispatcher handles one batch at a time, so at most two of these threads are used, and a third for long
    // matching.
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        runtime.block_on(work)
    })
    .await
    .unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(AppError::Internal {
            incident: "stopped".to_owned(),
        }),
    })
}

/// Writes the consequences of these events in the transaction that marks them as dispatched, and returns the events.
pub async fn dispatch(
    ctx: &AppContext,
    shard: DispatcherShard,
    direct_dispatch: &DirectDispatch,
    budget: Budget,
    waiting: Vec<PendingEvent>,
) -> Result<Turn, AppError> {
    let Plan {
        events,
        told,
        matches,
        costly,
    } = plan(ctx, budget, waiting).await?;
    let turn = |taken| -> Result<Turn, AppError> { Ok(Turn { taken, costly }) };
    if events.is_empty() {
        return turn(events);
    }
    let invalidations: HashSet<_> = matches.iter().map(Match::invalidation).collect();
    // While SQLite writes hundreds of rows, nobody else can write.
    let planned =
        if shard == DispatcherShard::ManyWebhooks && ctx.db().backend() == DbBackend::Sqlite {
            fan_out_in_steps(ctx, direct_dispatch, &matches).await?;
            None
        } else {
            Some(Planned::new(ctx, direct_dispatch, &matches)?)
        };
    drop(matches);
    let mut tx = ctx.db().begin().await?;
    // On PostgreSQL another process may have locked some of them; those are skipped.
    let taken: Vec<EventId> = entity::Event::find()
        .filter(Column::Id.is_in(events.iter().copied()))
        .filter(Column::DispatchedAt.is_null())
        .order_by_asc(Column::Id)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .select_only()
        .column(Column::Id)
        .into_tuple()
        .all(&tx)
        .await?;
    if taken.is_empty() {
        return turn(taken);
    }
    let (told, planned) = if taken.len() < events.len() {
        let these = taken.iter().copied().collect();
        (
            told.only(&these),
            planned.map(|planned| planned.only(&these)),
        )
    } else {
        (told, planned)
    };
    told.write(&mut tx).await?;
    for invalidation in invalidations {
        tx.invalidate(invalidation);
    }
    let claim = match planned {
        Some(planned) => planned.write(&tx).await?,
        None => None,
    };
    entity::Event::update_many()
        .col_expr(Column::DispatchedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.is_in(taken.iter().copied()))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    if let Some(claim) = claim {
        hand_off(ctx, direct_dispatch, claim).await;
    }
    turn(taken)
}

/// Writes the deliveries of events before they are marked as dispatched. After a crash in between, a repeat adds the
/// missing deliveries.
async fn fan_out_in_steps(
    ctx: &AppContext,
    direct_dispatch: &DirectDispatch,
    matches: &[Match],
) -> Result<(), AppError> {
    for some in matches.chunks(FAN_OUT_BATCH_SIZE) {
        let planned = Planned::new(ctx, direct_dispatch, some)?;
        let tx = ctx.db().begin().await?;
        let claim = planned.write(&tx).await?;
        tx.commit().await?;
        if let Some(claim) = claim {
            hand_off(ctx, direct_dispatch, claim).await;
        }
    }
    Ok(())
}
