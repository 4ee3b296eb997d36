//! Contacts: the customer's own leads and customers. Contacts are the only product data stored here, so that keys,
//! scopes, events, notifications and webhooks work on real data end to end. Programs manage contacts over the public
//! API. Live keys and test keys each see only the contacts of their own mode.

use domain::catalog::EventType;
use domain::contacts::{Contact, ContactDraft, Stage, fold};
use domain::{AppError, ContactId, Timestamp};
use sea_orm::sea_query::{Expr, LikeExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Set, TryIntoModel,
};
use serde_json::{Value, json};

use crate::auth::{Permit, Principal, can};
use crate::db::entity::contact::Column;
use crate::db::{Db, Tx, entity, rows};
use crate::events::{self, NewEvent};

/// The contacts to list. An empty filter lists all.
#[derive(Clone, Debug, Default)]
pub struct ContactQuery {
    /// Text contained in the name, email address, phone number or company.
    pub text: Option<String>,
    /// Tags that a contact must have, all of them.
    pub tags: Vec<String>,
    /// Stages, of which a contact must have one. Empty: any stage.
    pub stages: Vec<Stage>,
}

/// The contacts of the principal's workspace and mode. Every query of contacts starts here.
fn of(principal: &Principal) -> sea_orm::Select<entity::Contact> {
    entity::Contact::find()
        .filter(Column::WorkspaceId.eq(principal.workspace()))
        .filter(Column::Mode.eq(principal.mode()))
}

/// Up to `limit` contacts, newest first, created before `before`.
pub async fn list(
    db: &Db,
    principal: &Permit<can::ReadContacts, Principal>,
    filter: &ContactQuery,
    before: Option<ContactId>,
    limit: u64,
) -> Result<Vec<Contact>, AppError> {
    let mut query = of(principal).order_by_desc(Column::Id);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    if let Some(text) = &filter.text {
        let pattern = LikeExpr::new(format!("%{}%", escape_like(&fold(text)))).escape('\\');
        query = query.filter(Expr::col((entity::Contact, Column::SearchText)).like(pattern));
    }
    for tag in &filter.tags {
        query = query.filter(carries(db.backend(), tag));
    }
    if !filter.stages.is_empty() {
        query = query.filter(Column::Stage.is_in(filter.stages.iter().copied()));
    }
    let rows = rows::up_to(limit, query.into_query(), db.read()).await?;
    Ok(rows.into_iter().map(out).collect())
}

/// Escapes the characters that have a special meaning in LIKE.
fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

fn carries(backend: DbBackend, tag: &str) -> Expr {
    match backend {
        DbBackend::Postgres => Expr::cust_with_values("contacts.tags @> $1", [json!([tag])]),
        _ => Expr::cust_with_values(
            "EXISTS (SELECT 1 FROM json_each(contacts.tags) WHERE json_each.value = ?)",
            [tag],
        ),
    }
}

pub async fn get(
    db: &Db,
    principal: &Permit<can::ReadContacts, Principal>,
    id: ContactId,
) -> Result<Contact, AppError> {
    of(principal)
        .filter(Column::Id.eq(id))
        .one(db.read())
        .await?
        .map(out)
        .ok_or(AppError::NotFound)
}

pub async fn create(
    tx: &mut Tx,
    principal: &Permit<can::WriteContacts, Principal>,
    draft: ContactDraft,
) -> Result<Contact, AppError> {
    let now = Timestamp::now();
    let row = entity::contact::ActiveModel {
        id: Set(ContactId::new()),
        workspace_id: Set(principal.workspace()),
        mode: Set(principal.mode()),
        search_text: Set(search_text(&draft)),
        name: Set(draft.name),
        email: Set(draft.email),
        phone: Set(draft.phone),
        company: Set(draft.company),
        stage: Set(draft.stage),
        tags: Set(json!(draft.tags)),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let contact = out(row.clone().try_into_model()?);
    entity::Contact::insert(row)
        .exec_without_returning(tx)
        .await?;
    record_event(tx, principal, EventType::ContactCreated, facts(&contact)).await?;
    Ok(contact)
}

/// Replaces a whole contact. The edit, the new stage and the new tags are separate events, for subscribers who need
/// only one of them. A replacement that changes nothing records nothing.
pub async fn replace(
    tx: &mut Tx,
    principal: &Permit<can::WriteContacts, Principal>,
    id: ContactId,
    draft: ContactDraft,
) -> Result<Contact, AppError> {
    let row = locked(tx, principal, id).await?;
    let before = out(row.clone());
    let changed = changed_fields(&before, &draft);
    if changed.is_empty() {
        return Ok(before);
    }
    let mut row = entity::contact::ActiveModel::from(row);
    row.search_text = Set(search_text(&draft));
    row.name = Set(draft.name);
    row.email = Set(draft.email);
    row.phone = Set(draft.phone);
    row.company = Set(draft.company);
    row.stage = Set(draft.stage);
    row.tags = Set(json!(draft.tags));
    row.updated_at = Set(Timestamp::now());
    let contact = out(row.update(tx).await?);

    let mut data = facts(&contact);
    data["changed"] = json!(changed);
    record_event(tx, principal, EventType::ContactUpdated, data).await?;
    if before.stage != contact.stage {
        let mut data = facts(&contact);
        data["from"] = json!(before.stage);
        data["to"] = json!(contact.stage);
        record_event(tx, principal, EventType::ContactStageChanged, data).await?;
    }
    let added: Vec<&String> = contact
        .tags
        .iter()
        .filter(|tag| !before.tags.contains(tag))
        .collect();
    if !added.is_empty() {
        let mut data = facts(&contact);
        data["added"] = json!(added);
        record_event(tx, principal, EventType::ContactTagged, data).await?;
    }
    Ok(contact)
}

pub async fn delete(
    tx: &mut Tx,
    principal: &Permit<can::WriteContacts, Principal>,
    id: ContactId,
) -> Result<(), AppError> {
    let contact = out(locked(tx, principal, id).await?);
    entity::Contact::delete_by_id(id).exec(tx).await?;
    record_event(tx, principal, EventType::ContactDeleted, facts(&contact)).await
}

/// The contact, locked until this transaction ends.
async fn locked(
    tx: &impl ConnectionTrait,
    principal: &Principal,
    id: ContactId,
) -> Result<entity::contact::Model, AppError> {
    of(principal)
        .filter(Column::Id.eq(id))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)
}

async fn record_event(
    tx: &mut Tx,
    principal: &Principal,
    event_type: EventType,
    data: Value,
) -> Result<(), AppError> {
    let event =
        NewEvent::in_workspace(principal.workspace(), event_type, data).in_mode(principal.mode());
    events::record(tx, principal, event).await.map(|_| ())
}

/// The data of a contact in an event: everything but its times.
fn facts(contact: &Contact) -> Value {
    json!({
        "id": contact.id, "name": contact.name, "email": contact.email, "phone": contact.phone,
        "company": contact.company, "stage": contact.stage, "tags": contact.tags,
    })
}

fn changed_fields(before: &Contact, after: &ContactDraft) -> Vec<&'static str> {
    [
        ("name", before.name != after.name),
        ("email", before.email != after.email),
        ("phone", before.phone != after.phone),
        ("company", before.company != after.company),
        ("stage", before.stage != after.stage),
        ("tags", before.tags != after.tags),
    ]
    .into_iter()
    .filter_map(|(field, changed)| changed.then_some(field))
    .collect()
}

/// The text that a search looks through. Line breaks, which no search text contains, keep a match within one part.
fn search_text(draft: &ContactDraft) -> String {
    folded([
        Some(draft.name.as_str()),
        draft.email.as_ref().map(domain::Email::as_str),
        draft.phone.as_deref(),
        draft.company.as_deref(),
    ])
}

pub(crate) fn folded<const N: usize>(parts: [Option<&str>; N]) -> String {
    parts
        .into_iter()
        .flatten()
        .map(fold)
        .collect::<Vec<_>>()
        .join("\n")
}

fn out(row: entity::contact::Model) -> Contact {
    Contact {
        id: row.id,
        name: row.name,
        email: row.email,
        phone: row.phone,
        company: row.company,
        stage: row.stage,
        tags: serde_json::from_value(row.tags).unwrap_or_default(),
        created_at: row.created_at.rfc3339(),
        updated_at: row.updated_at.rfc3339(),
    }
}
