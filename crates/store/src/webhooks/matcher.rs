//! Which events a webhook receives: by mode, by event type, and by its filters.

use std::time::{Duration, Instant};

use domain::catalog::{EventType, Mode};
use domain::form::{FormSuccess, ItemResult};
use domain::webhooks::DRY_RUN;
use domain::{AppError, Timestamp, WorkspaceId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::dto;
use super::envelope::Walked;
use super::filter::{self, Filter};
use crate::auth::{Principal, ReadPermit, can};
use crate::context::AppContext;
use crate::db::entity::{self, event, webhook};

/// How long a dry run can try filters, and how long it waits for its turn.
const DRY_RUN_TIME: Duration = Duration::from_millis(500);
const DRY_RUN_WAIT: Duration = Duration::from_secs(5);

/// The part of a webhook that decides which events it receives, parsed once for many events.
#[derive(Clone, Debug)]
pub struct SubscriptionFilter {
    pub mode: Mode,
    /// Whether a live webhook also receives events created with test keys.
    pub include_test_events: bool,
    /// Empty means every type.
    pub event_types: Vec<EventType>,
    pub filters: Vec<Filter>,
}

impl From<&webhook::Model> for SubscriptionFilter {
    fn from(row: &webhook::Model) -> Self {
        Self {
            mode: row.mode,
            include_test_events: row.include_test_events,
            event_types: dto::event_types(row),
            filters: dto::filters(row),
        }
    }
}

impl SubscriptionFilter {
    /// Prepares it for many events.
    pub fn prepare(&self) -> PreparedSubscription {
        PreparedSubscription {
            filters: self.filters.iter().cloned().map(Into::into).collect(),
            wants: self.clone(),
        }
    }
}

/// The conditions of a webhook, with its filters parsed.
#[derive(Clone, Debug)]
pub struct PreparedSubscription {
    wants: SubscriptionFilter,
    filters: Vec<filter::PreparedFilter>,
}

impl PreparedSubscription {
    /// Whether the match depends on more than the event's type and mode.
    pub fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Whether the webhook receives the event.
    pub fn matches(&self, event: &Walked<'_>) -> bool {
        self.refuses(event.event).is_none()
            && self
                .filters
                .iter()
                .all(|filter| filter.holds(event.find(filter.steps())))
    }

    /// Why the webhook does not receive the event; `None` if it does.
    pub fn explain(&self, event: &Walked<'_>) -> Option<String> {
        let refused = self.refuses(event.event).map(str::to_owned);
        refused.or_else(|| {
            self.filters
                .iter()
                .find_map(|filter| filter.explain(event.find(filter.steps())))
        })
    }

    /// Why the mode or the types exclude the event.
    fn refuses(&self, event: &event::Model) -> Option<&'static str> {
        let SubscriptionFilter {
            mode, event_types, ..
        } = &self.wants;
        match (mode, event.mode) {
            (Mode::Test, Mode::Live) => return Some("live event"),
            (Mode::Live, Mode::Test) if !self.wants.include_test_events => {
                return Some("test event");
            }
            _ => {}
        }
        (!event_types.is_empty() && !event_types.contains(&event.event_type))
            .then_some("event type not selected")
    }
}

/// Matching that can take long (dry runs, and events of workspaces that used up their share) runs one at a time in its own
/// thread, so that it uses at most one core and one blocking thread.
static LONG_MATCHING: Semaphore = Semaphore::const_new(1);

/// Waits for the permit for long matching.
pub async fn long_matching() -> SemaphorePermit<'static> {
    LONG_MATCHING
        .acquire()
        .await
        .expect("the semaphore is never closed")
}

/// Which of the workspace's recent events match, and why the others do not. Runs for a limited time, separately from other
/// requests.
pub async fn dry_run(
    ctx: &AppContext,
    principal: &ReadPermit<can::ManageWebhooks, Principal>,
    wants: &SubscriptionFilter,
) -> Result<FormSuccess, AppError> {
    ctx.limits().dry_run(principal.workspace())?;
    let busy = |_| AppError::RateLimited {
        retry_after: DRY_RUN_WAIT.as_secs(),
    };
    let turn = tokio::time::timeout(DRY_RUN_WAIT, long_matching())
        .await
        .map_err(busy)?;
    let (ctx, workspace, wants) = (ctx.clone(), principal.workspace(), wants.prepare());
    let runtime = tokio::runtime::Handle::current();
    // Parsing large events takes as long as matching them: both run there.
    tokio::task::spawn_blocking(move || {
        // Held until the end, even if the client disconnected.
        let _turn = turn;
        let last = runtime.block_on(last_events(&ctx, workspace))?;
        Ok(tried(&last, &wants, DRY_RUN_TIME))
    })
    .await
    .map_err(|error| {
        tracing::error!(%error, "a dry run failed");
        AppError::Internal {
            incident: "dry run".to_owned(),
        }
    })?
}

async fn last_events(
    ctx: &AppContext,
    workspace: WorkspaceId,
) -> Result<Vec<event::Model>, AppError> {
    Ok(entity::Event::find()
        .filter(event::Column::WorkspaceId.eq(workspace))
        .order_by_desc(event::Column::Id)
        .limit(DRY_RUN)
        .all(ctx.db().read())
        .await?)
}

/// The result for each of these events, until `time` is over, but at least for the first.
fn tried(last: &[event::Model], wants: &PreparedSubscription, time: Duration) -> FormSuccess {
    let (now, begun) = (Timestamp::now(), Instant::now());
    let mut results: Vec<ItemResult> = Vec::new();
    for event in last {
        if !results.is_empty() && begun.elapsed() > time {
            break;
        }
        let why_not = wants.explain(&Walked::new(event));
        results.push(ItemResult {
            subject: format!(
                "{}, {}",
                event.event_type,
                event.created_at.relative_to(now)
            ),
            good: why_not.is_none(),
            message: why_not.unwrap_or_else(|| "matches".to_owned()),
        });
    }
    let good = results.iter().filter(|line| line.good).count();
    let verb = if good == 1 { "matches" } else { "match" };
    let mut message = format!("{good} of the last {} events {verb}", results.len());
    if results.len() < last.len() {
        message += ". Older events were skipped because the preview took too long.";
    }
    FormSuccess {
        message,
        results,
        keep: true,
        ..FormSuccess::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use domain::EventId;
    use domain::catalog::Category;

    #[test]
    fn a_dry_run_ends_when_its_time_is_over_and_says_so() {
        let event = |n| event::Model {
            id: EventId::new(),
            workspace_id: Some(WorkspaceId::new()),
            event_type: EventType::ContactCreated,
            category: Category::Contacts,
            mode: Mode::Live,
            actor_kind: "system".into(),
            actor_id: None,
            actor_name: "Wheelhouse".into(),
            subject_user_id: None,
            data: json!({"n": n}),
            created_at: Timestamp::now(),
            dispatched_at: None,
        };
        let last: Vec<_> = (0..9).map(event).collect();
        let wants = SubscriptionFilter {
            mode: Mode::Live,
            include_test_events: false,
            event_types: Vec::new(),
            filters: Vec::new(),
        };
        let done = tried(&last, &wants.prepare(), Duration::ZERO);
        assert_eq!(done.results.len(), 1);
        assert!(
            done.message.ends_with("because the preview took too long."),
            "{}",
            done.message
        );
        let done = tried(&last, &wants.prepare(), DRY_RUN_TIME);
        assert_eq!(done.message, "9 of the last 9 events match");
    }
}
