//! The events of the demo, in order of time, and what happened in a workspace over some weeks.

use std::time::Duration;

use domain::catalog::EventType;
use domain::{AppError, Timestamp, UserId, WorkspaceId, days};
use serde_json::json;

use crate::db::Tx;
use crate::events::{self, NewEvent, Origin};

/// The demo's events and their times. They are written in order of time once all are known.
#[derive(Default)]
pub(super) struct Story(Vec<(Timestamp, Origin, NewEvent)>);

impl Story {
    pub(super) fn add(&mut self, at: Timestamp, origin: Origin, event: NewEvent) {
        self.0.push((at, origin, event));
    }

    pub(super) async fn write(mut self, tx: &mut Tx) -> Result<(), AppError> {
        self.0.sort_by_key(|(at, ..)| *at);
        for (at, origin, event) in self.0 {
            events::record_at(tx, origin, event, at).await?;
        }
        Ok(())
    }
}

/// Some weeks of a workspace's events: automations, a contact that progresses, bills and credits, system notices.
/// `renamed`: the workspace's old and new names.
pub(super) fn history(
    story: &mut Story,
    workspace: WorkspaceId,
    renamed: (&str, &str),
    people: [(UserId, &str); 3],
) {
    let [first, second, third] = people.map(|(id, name)| Origin::person(id, name));
    let system = Origin::system;
    let steps: Vec<(u64, Origin, EventType, serde_json::Value)> = vec![
        (
            26,
            system(),
            EventType::SystemAnnouncement,
            json!({"title": "Settings pages are faster now"}),
        ),
        (
            21,
            first.clone(),
            EventType::WorkspaceRenamed,
            json!({"from": renamed.0, "to": renamed.1}),
        ),
        (
            12,
            first.clone(),
            EventType::BillingPaymentSucceeded,
            json!({"amount": 2900, "for": "1,000 credits"}),
        ),
        (
            18,
            second.clone(),
            EventType::AutomationStarted,
            json!({"name": "Welcome sequence"}),
        ),
        (
            17,
            system(),
            EventType::SequenceReplied,
            json!({"name": "Welcome sequence", "detail": "Grace Kim asked for a demo"}),
        ),
        (
            15,
            third.clone(),
            EventType::ContactStageChanged,
            json!({"name": "Grace Kim", "from": "lead", "to": "contacted"}),
        ),
        (
            11,
            system(),
            EventType::AutomationFailed,
            json!({"name": "Nightly enrichment", "detail": "the source did not respond"}),
        ),
        (
            9,
            system(),
            EventType::SystemMaintenanceScheduled,
            json!({"title": "Maintenance on Sunday, 02:00 to 02:30 UTC"}),
        ),
        (
            6,
            second,
            EventType::ContactTagged,
            json!({"name": "Ana Álvarez", "added": ["priority"]}),
        ),
        (
            4,
            system(),
            EventType::AutomationCompleted,
            json!({"name": "Nightly enrichment"}),
        ),
        (
            2,
            third,
            EventType::ContactStageChanged,
            json!({"name": "Kavya Rao", "from": "contacted", "to": "qualified"}),
        ),
        (
            1,
            system(),
            EventType::SequenceFinished,
            json!({"name": "Welcome sequence"}),
        ),
    ];
    for (days_ago, origin, event_type, data) in steps {
        let at = Timestamp::now()
            .before(days(days_ago))
            .before(Duration::from_secs(days_ago * 977));
        story.add(
            at,
            origin,
            NewEvent::in_workspace(workspace, event_type, data),
        );
    }
}
