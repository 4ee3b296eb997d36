//! The event log. Every change writes one event in its own transaction. Inbox, email, webhooks, audit log and live
//! pages all follow from the event.

mod describe;
mod origin;
pub mod report;
use domain::catalog::{EventType, Mode};
use domain::{AppError, EventId, Timestamp, Topic, UserId, WorkspaceId};
use sea_orm::{EntityTrait, Set};
use serde_json::Value;

use crate::db::{Tx, entity};
use crate::live::Invalidation;

pub use describe::describe;
pub use origin::Origin;

/// An event that is not yet written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    event_type: EventType,
    workspace: Option<WorkspaceId>,
    about: Option<UserId>,
    mode: Mode,
    data: Value,
}

impl NewEvent {
    /// An event that happened in a workspace.
    pub fn in_workspace(workspace: WorkspaceId, event_type: EventType, data: Value) -> Self {
        Self {
            event_type,
            workspace: Some(workspace),
            about: None,
            mode: Mode::Live,
            data,
        }
    }

    /// An event that concerns one person, in any workspace.
    pub fn about_person(user: UserId, event_type: EventType, data: Value) -> Self {
        Self {
            event_type,
            workspace: None,
            about: Some(user),
            mode: Mode::Live,
            data,
        }
    }

    /// Sets the event's mode. An event in test mode notifies nobody.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Also notifies this person, whatever their role.
    #[must_use]
    pub fn about(mut self, user: UserId) -> Self {
        self.about = Some(user);
        self
    }
}

/// Writes an event in the caller's transaction.
pub async fn record(
    tx: &mut Tx,
    origin: impl Into<Origin>,
    event: NewEvent,
) -> Result<EventId, AppError> {
    write(tx, EventId::new(), origin.into(), event, Timestamp::now()).await
}

/// [`record`] for an event at another time, such as a day of the demo's past. Its id has that time too, because logs
/// are sorted by id.
pub async fn record_at(
    tx: &mut Tx,
    origin: impl Into<Origin>,
    event: NewEvent,
    at: Timestamp,
) -> Result<EventId, AppError> {
    write(tx, EventId::at(at), origin.into(), event, at).await
}

async fn write(
    tx: &mut Tx,
    id: EventId,
    origin: Origin,
    event: NewEvent,
    at: Timestamp,
) -> Result<EventId, AppError> {
    let (kind, actor, name) = origin.parts();
    let row = entity::event::ActiveModel {
        id: Set(id),
        workspace_id: Set(event.workspace),
        event_type: Set(event.event_type),
        category: Set(event.event_type.category()),
        mode: Set(event.mode),
        actor_kind: Set(kind.to_owned()),
        actor_id: Set(actor),
        actor_name: Set(name.to_owned()),
        subject_user_id: Set(event.about),
        data: Set(event.data),
        created_at: Set(at),
        dispatched_at: Set(None),
    };
    // Every change writes one. The row is known, so it is not read back.
    entity::Event::insert(row)
        .exec_without_returning(tx)
        .await?;
    if let Some(workspace) = event.workspace {
        for topic in topics(event.event_type) {
            tx.invalidate(Invalidation::workspace(workspace, *topic));
        }
    }
    if let Some(user) = event.about {
        tx.invalidate(Invalidation::user(user, Topic::Account));
    }
    Ok(id)
}

/// The topics of the workspace's pages that show such an event.
fn topics(event_type: EventType) -> &'static [Topic] {
    let name = event_type.as_str();
    match name.split_once('.').map(|(subject, _)| subject) {
        Some("member" | "invitation") => &[Topic::Members],
        Some("workspace") => &[Topic::Workspace],
        Some("contact") => &[Topic::Contacts],
        Some("api_key") => &[Topic::ApiKeys],
        Some("webhook") => &[Topic::Webhooks],
        Some("credits") => &[Topic::Credits],
        // Every page shows whether the workspace is frozen.
        Some("billing") => &[Topic::Billing, Topic::Workspace],
        _ => &[],
    }
}
