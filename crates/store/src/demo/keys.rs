//! The demo's API keys: one in use, one for tests, one in rotation, one revoked. Nobody knows them: only their hashes
//! are stored, and the keys are never shown.

use domain::catalog::{EventType, Mode, Scope};
use domain::{
    ApiKeyId, ApiRequestId, AppError, Timestamp, UserId, WorkspaceId, days, hours, minutes,
};
use sea_orm::{ActiveModelTrait, EntityTrait, Set};
use serde_json::json;

use crate::auth::key_token::KeyToken;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent, Origin};

type Maker<'a> = (UserId, &'a str);

pub async fn keys(
    tx: &mut Tx,
    workspace: WorkspaceId,
    olivia: Maker<'_>,
    adam: Maker<'_>,
) -> Result<(), AppError> {
    use Scope::{ContactsRead, ContactsWrite, EventsWrite, ListsRead, MessagesRead, TagsRead};
    let now = Timestamp::now();

    let mut form = key(
        workspace,
        adam,
        "Website form",
        Mode::Live,
        now.before(days(50)),
    );
    let scopes = [
        ContactsRead,
        ContactsWrite,
        EventsWrite,
        ListsRead,
        TagsRead,
    ];
    form.scopes = json!(scopes);
    form.last_used_at = Some(now.before(minutes(12)));
    form.last_used_address = Some("203.0.113.24".to_owned());
    let form = insert(tx, form, adam).await?;
    for scope in [ContactsRead, ContactsWrite] {
        used(tx, form, scope, now.before(minutes(12))).await?;
    }
    log(tx, form, now).await?;

    let mut local = key(
        workspace,
        olivia,
        "Local development",
        Mode::Test,
        now.before(days(20)),
    );
    local.scopes = json!(Scope::ALL);
    local.last_used_at = Some(now.before(hours(26)));
    local.last_used_address = Some("198.51.100.7".to_owned());
    local.expires_at = Some(now.after(days(70)));
    insert(tx, local, olivia).await?;

    let mut sync = key(
        workspace,
        adam,
        "CRM sync",
        Mode::Live,
        now.before(hours(4)),
    );
    sync.scopes = json!([ContactsRead, MessagesRead]);
    sync.allowed_networks = json!(["203.0.113.0/24"]);
    let successor = sync.id;
    let (scopes, networks) = (sync.scopes.clone(), sync.allowed_networks.clone());
    insert_row(tx, sync).await?;
    let mut old = key(
        workspace,
        adam,
        "CRM sync",
        Mode::Live,
        now.before(days(45)),
    );
    (old.scopes, old.allowed_networks) = (scopes, networks);
    old.last_used_at = Some(now.before(minutes(40)));
    old.last_used_address = Some("203.0.113.80".to_owned());
    old.replaced_by = Some(successor);
    old.retires_at = Some(now.after(hours(20)));
    let old = insert(tx, old, adam).await?;
    let data = json!({"key": old, "name": "CRM sync", "successor": successor});
    write_events(
        tx,
        workspace,
        adam,
        EventType::ApiKeyRotated,
        data,
        now.before(hours(4)),
    )
    .await?;

    let mut gone = key(
        workspace,
        olivia,
        "Spreadsheet export",
        Mode::Live,
        now.before(days(58)),
    );
    gone.scopes = json!([ContactsRead]);
    gone.last_used_at = Some(now.before(days(13)));
    gone.last_used_address = Some("192.0.2.55".to_owned());
    gone.revoked_at = Some(now.before(days(10)));
    gone.revoked_by_name = Some(olivia.1.to_owned());
    let gone = insert(tx, gone, olivia).await?;
    let data = json!({"key": gone, "name": "Spreadsheet export"});
    write_events(
        tx,
        workspace,
        olivia,
        EventType::ApiKeyRevoked,
        data,
        now.before(days(10)),
    )
    .await
}

fn key(
    workspace: WorkspaceId,
    (maker, maker_name): Maker<'_>,
    name: &str,
    mode: Mode,
    at: Timestamp,
) -> entity::api_key::Model {
    let token = KeyToken::generate(mode);
    let (start, end) = token.shown();
    entity::api_key::Model {
        id: ApiKeyId::new(),
        workspace_id: workspace,
        mode,
        name: name.to_owned(),
        token_hash: token.hash().to_vec(),
        token_start: start.to_owned(),
        token_end: end.to_owned(),
        scopes: json!([]),
        allowed_networks: json!([]),
        created_by: Some(maker),
        created_by_name: maker_name.to_owned(),
        created_at: at,
        updated_at: at,
        expires_at: None,
        last_used_at: None,
        last_used_address: None,
        replaced_by: None,
        retires_at: None,
        revoked_at: None,
        revoked_by_name: None,
    }
}

async fn insert_row(tx: &mut Tx, key: entity::api_key::Model) -> Result<(), AppError> {
    let row: entity::api_key::ActiveModel = key.into();
    // A model's fields count as unchanged, and unchanged fields are not inserted.
    entity::ApiKey::insert(row.reset_all())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Inserts a key and the event of its creation.
async fn insert(
    tx: &mut Tx,
    key: entity::api_key::Model,
    maker: Maker<'_>,
) -> Result<ApiKeyId, AppError> {
    let (id, workspace, at) = (key.id, key.workspace_id, key.created_at);
    let data = json!({"key": id, "name": key.name, "mode": key.mode, "scopes": key.scopes});
    insert_row(tx, key).await?;
    write_events(tx, workspace, maker, EventType::ApiKeyCreated, data, at).await?;
    Ok(id)
}

async fn write_events(
    tx: &mut Tx,
    workspace: WorkspaceId,
    (who, name): Maker<'_>,
    event_type: EventType,
    data: serde_json::Value,
    at: Timestamp,
) -> Result<(), AppError> {
    let event = NewEvent::in_workspace(workspace, event_type, data);
    events::record_at(tx, Origin::person(who, name), event, at).await?;
    Ok(())
}

async fn used(tx: &mut Tx, key: ApiKeyId, scope: Scope, at: Timestamp) -> Result<(), AppError> {
    entity::api_key_scope_use::ActiveModel {
        key_id: Set(key),
        scope: Set(scope),
        last_used_at: Set(at),
    }
    .insert(tx)
    .await?;
    Ok(())
}

/// Some requests of recent days, oldest first.
async fn log(tx: &mut Tx, key: ApiKeyId, now: Timestamp) -> Result<(), AppError> {
    let lines = [
        (4_300, "GET", "/api/v1/me", 200, 610),
        (2_900, "POST", "/api/v1/contacts", 201, 4_200),
        (2_890, "POST", "/api/v1/contacts", 422, 900),
        (1_450, "GET", "/api/v1/contacts/search", 200, 3_100),
        (180, "POST", "/api/v1/contacts", 201, 3_900),
        (60, "GET", "/api/v1/credits", 403, 350),
        (14, "GET", "/api/v1/contacts", 200, 2_400),
        (12, "POST", "/api/v1/contacts", 201, 4_050),
    ];
    let rows =
        lines.map(
            |(ago, method, path, status, duration_us)| entity::api_request::ActiveModel {
                id: Set(ApiRequestId::new()),
                key_id: Set(key),
                at: Set(now.before(minutes(ago))),
                method: Set(method.to_owned()),
                path: Set(path.to_owned()),
                status: Set(status),
                duration_us: Set(duration_us),
                address: Set("203.0.113.24".to_owned()),
            },
        );
    entity::ApiRequest::insert_many(rows)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
