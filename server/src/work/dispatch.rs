//! The dispatcher: takes each event once and writes, in one transaction, what follows from it: inbox rows and mail, to
//! whom it concerns and as they prefer. Unique keys make a repeat harmless.

use std::time::Duration;

use app::catalog::{Category, Channel, Mode};
use app::db::{Tx, entity};
use app::domain::{AppError, Email, NotificationId, Role, Timestamp, UserId, WorkspaceId};
use app::events::describe;
use app::house::House;
use app::live::{Hint, Topic};
use app::mail::{self, Addressee, Notice, letters};
use app::settings::notifications::model::Switch;
use app::settings::notifications::store::{Preferences, preferences, unsubscribe_token};
use sea_orm::sea_query::{Expr, LockBehavior, LockType, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use tokio_util::sync::CancellationToken;

use super::webhooks::fan_out::fan_out;

/// How long to wait without a cue: for events of other processes, and after an error.
const IDLE: Duration = Duration::from_secs(1);

pub async fn run(house: House, stop: CancellationToken) {
    loop {
        // Listen before looking, so that a commit in between is not missed.
        let committed = house.db().hub().committed();
        match dispatch_next(&house).await {
            Ok(true) if !stop.is_cancelled() => continue,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "an event could not be dispatched; it will be tried again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = committed => {}
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}

/// Dispatches every waiting event; what tests and the demo call instead of waiting.
pub async fn dispatch_all(house: &House) -> Result<(), AppError> {
    while dispatch_next(house).await? {}
    Ok(())
}

/// Takes the oldest waiting event. `false`: none waits.
async fn dispatch_next(house: &House) -> Result<bool, AppError> {
    use entity::event::Column;
    let waiting = entity::Event::find()
        .filter(Column::DispatchedAt.is_null())
        .order_by_asc(Column::Id);
    // Most of the time nothing waits: look before taking SQLite's only write lock.
    if waiting.clone().one(house.db().read()).await?.is_none() {
        return Ok(false);
    }
    let mut tx = house.db().begin().await?;
    let Some(event) = waiting
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .one(&tx)
        .await?
    else {
        return Ok(false);
    };
    if event.mode == Mode::Live {
        tell(&mut tx, house, &event).await?;
    }
    fan_out(&mut tx, house, std::slice::from_ref(&event)).await?;
    entity::Event::update_many()
        .col_expr(Column::DispatchedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(event.id))
        .exec(&tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// Someone who is to be told.
struct Listener {
    user: UserId,
    email: Email,
    /// Where their inbox shows it; nothing for what concerns them everywhere, or for a workspace they are no more in.
    workspace: Option<WorkspaceId>,
}

async fn tell(tx: &mut Tx, house: &House, event: &entity::event::Model) -> Result<(), AppError> {
    let listeners = listeners(tx, event).await?;
    let users: Vec<UserId> = listeners.iter().map(|listener| listener.user).collect();
    let preferences = preferences(tx, &users).await?;
    let workspace = match event.workspace_id {
        Some(id) => entity::Workspace::find_by_id(id).one(tx).await?,
        None => None,
    };
    let nothing = Preferences::default();
    for listener in listeners {
        let wishes = preferences.get(&listener.user).unwrap_or(&nothing);
        if !wishes.wants(event.event_type) {
            continue;
        }
        if wishes.is_on(event.category, Channel::InApp) {
            put_into_inbox(tx, &listener, event).await?;
        }
        if wishes.is_on(event.category, Channel::Email) {
            send_mail(tx, house, listener, event, workspace.as_ref()).await?;
        }
    }
    Ok(())
}

/// A Security event about a person tells that person, also when they did it. Other events tell every member who may
/// see their subject, and whom they are about, except the one who did it.
async fn listeners(tx: &Tx, event: &entity::event::Model) -> Result<Vec<Listener>, AppError> {
    let mut found = Vec::new();
    if let Some(workspace) = event.workspace_id {
        use entity::membership::Column;
        let members = entity::Membership::find()
            .filter(Column::WorkspaceId.eq(workspace))
            .all(tx)
            .await?;
        let allowed: Vec<UserId> = members
            .into_iter()
            .filter(|member| Role::may(member.role, event.event_type.required_permission()))
            .map(|member| member.user_id)
            .filter(|user| event.actor_id != Some(user.uuid()))
            .collect();
        let users = entity::User::find()
            .filter(entity::user::Column::Id.is_in(allowed))
            .all(tx)
            .await?;
        found.extend(users.into_iter().map(|user| Listener {
            user: user.id,
            email: user.email,
            workspace: Some(workspace),
        }));
    }
    if let Some(about) = event.about_user_id {
        let own = event.category == Category::Security || event.actor_id != Some(about.uuid());
        if own && !found.iter().any(|listener| listener.user == about) {
            let user = entity::User::find_by_id(about).one(tx).await?;
            found.extend(user.map(|user| Listener {
                user: user.id,
                email: user.email,
                workspace: None,
            }));
        }
    }
    Ok(found)
}

async fn put_into_inbox(
    tx: &mut Tx,
    listener: &Listener,
    event: &entity::event::Model,
) -> Result<(), AppError> {
    use entity::notification::Column;
    let row = entity::notification::ActiveModel {
        id: Set(NotificationId::new()),
        user_id: Set(listener.user),
        workspace_id: Set(listener.workspace),
        event_id: Set(event.id),
        category: Set(event.category),
        created_at: Set(event.created_at),
        read_at: Set(None),
    };
    entity::Notification::insert(row)
        .on_conflict(
            OnConflict::columns([Column::UserId, Column::EventId])
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    tx.hint(Hint::user(listener.user, Topic::Inbox));
    Ok(())
}

async fn send_mail(
    tx: &mut Tx,
    house: &House,
    listener: Listener,
    event: &entity::event::Model,
    workspace: Option<&entity::workspace::Model>,
) -> Result<(), AppError> {
    use entity::mail::Column;
    let sent = entity::Mail::find()
        .filter(Column::UserId.eq(listener.user))
        .filter(Column::EventId.eq(event.id))
        .one(tx)
        .await?;
    if sent.is_some() {
        return Ok(());
    }
    let site = house.site();
    let place = workspace.filter(|_| listener.workspace.is_some());
    let link = place.map_or_else(
        || site.url("/"),
        |place| site.url(&format!("/w/{}/inbox", place.slug)),
    );
    let settings = place.map_or_else(
        || site.url("/"),
        |place| {
            site.url(&format!(
                "/w/{}/settings/notifications#{}-email",
                place.slug, event.category
            ))
        },
    );
    let sentence = describe(event.event_type, &event.actor_name, &event.data);
    let letter = letters::notification(
        &sentence,
        event.category.label(),
        place.map(|place| place.name.as_str()),
        &link,
        &settings,
    );
    let cell = Switch::Cell(event.category, Channel::Email);
    let notice = Notice {
        event: event.id,
        category: event.category,
        unsubscribe_url: site.url(&format!(
            "/unsubscribe/{}",
            unsubscribe_token(house, listener.user, cell)
        )),
    };
    mail::post(
        tx,
        Addressee {
            email: listener.email,
            user: Some(listener.user),
        },
        letter,
        Some(notice),
    )
    .await?;
    Ok(())
}
