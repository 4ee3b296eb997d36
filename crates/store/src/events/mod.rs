//! The event log. Every change writes one event in its own transaction. Inbox, email, webhooks, audit log and live
//! pages all follow from the event.

mod describe;
pub mod report;
use domain::catalog::{EventType, Mode};
use domain::{ApiKeyId, AppError, EventId, Timestamp, Topic, UserId, WorkspaceId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait, Set};
use serde_json::Value;

use crate::auth::{Actor, SignedInUser};
use crate::db::{Tx, entity, rows};
use crate::live::Invalidation;

pub use describe::describe;

/// The name that the server uses for its own actions.
const SYSTEM: &str = "Wheelhouse";

/// The origin of an event: its actor, as the log stores it.
#[derive(Clone, Debug)]
pub struct Origin {
    kind: &'static str,
    id: Option<uuid::Uuid>,
    name: String,
}

impl Origin {
    pub fn system() -> Self {
        Self {
            kind: "system",
            id: None,
            name: SYSTEM.to_owned(),
        }
    }

    /// A program, by its API key.
    pub fn key(id: ApiKeyId, name: &str) -> Self {
        Self {
            kind: "key",
            id: Some(id.uuid()),
            name: name.to_owned(),
        }
    }

    /// Kind, id and name, for logs of other modules.
    pub(crate) fn parts(&self) -> (&'static str, Option<uuid::Uuid>, &str) {
        (self.kind, self.id, &self.name)
    }

    /// A person by id, for changes made without a session: sign-up, a link from an email.
    pub fn person(id: UserId, name: &str) -> Self {
        Self {
            kind: "person",
            id: Some(id.uuid()),
            name: name.to_owned(),
        }
    }
}

impl From<&SignedInUser> for Origin {
    fn from(person: &SignedInUser) -> Self {
        Self::person(person.id(), person.name())
    }
}

impl From<&Actor> for Origin {
    fn from(actor: &Actor) -> Self {
        actor.person().into()
    }
}

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
    let row = entity::event::ActiveModel {
        id: Set(id),
        workspace_id: Set(event.workspace),
        event_type: Set(event.event_type),
        category: Set(event.event_type.category()),
        mode: Set(event.mode),
        actor_kind: Set(origin.kind.to_owned()),
        actor_id: Set(origin.id),
        actor_name: Set(origin.name),
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

/// An event that someone wants to undo.
#[derive(Clone, Debug)]
pub struct Undoable {
    pub data: Value,
    pub about: Option<UserId>,
}

/// Finds an event that this person caused in this workspace less than `within` ago. Events of other people, other
/// workspaces or other kinds, and expired ones, are not found.
pub async fn undoable(
    tx: &Tx,
    actor: &Actor,
    id: EventId,
    event_type: EventType,
    within: std::time::Duration,
) -> Result<Undoable, AppError> {
    let event = entity::Event::find_by_id(id)
        .filter(entity::event::Column::WorkspaceId.eq(actor.workspace()))
        .filter(entity::event::Column::EventType.eq(event_type))
        .filter(entity::event::Column::ActorId.eq(actor.person().id().uuid()))
        .filter(entity::event::Column::CreatedAt.gte(Timestamp::now().before(within)))
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(Undoable {
        data: event.data,
        about: event.subject_user_id,
    })
}

/// The latest events of a workspace that this person can see, newest first.
pub async fn latest(
    ctx: &crate::context::AppContext,
    actor: &Actor,
    limit: u64,
) -> Result<Vec<entity::event::Model>, AppError> {
    let visible: Vec<EventType> = EventType::ALL
        .into_iter()
        .filter(|event| actor.role().may(event.required_permission()))
        .collect();
    let query = entity::Event::find()
        .filter(entity::event::Column::WorkspaceId.eq(actor.workspace()))
        .filter(entity::event::Column::EventType.is_in(visible))
        .filter(entity::event::Column::Mode.eq(Mode::Live))
        .order_by_desc(entity::event::Column::Id)
        .into_query();
    Ok(rows::up_to(limit, query, ctx.db().read()).await?)
}
