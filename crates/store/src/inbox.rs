//! A person's own inbox needs no permission: its rows are theirs alone. Notifications without a workspace (sign-ins, a
//! changed password) show in every workspace's inbox.

use domain::catalog::Category;
use domain::form::{FormSuccess, UndoRead};
use domain::inbox::{InboxItem, InboxPage, PAGE};
use domain::{AppError, NotificationId, Timestamp, Topic};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QueryTrait,
};

use crate::auth::Actor;
use crate::context::AppContext;
use crate::db::entity::notification::Column;
use crate::db::rows::page_of;
use crate::db::{entity, rows};
use crate::events::describe;
use crate::live::Invalidation;

fn of(actor: &Actor) -> Condition {
    Condition::all()
        .add(Column::UserId.eq(actor.person().id()))
        .add(
            Condition::any()
                .add(Column::WorkspaceId.eq(actor.workspace()))
                .add(Column::WorkspaceId.is_null()),
        )
}

pub async fn unread(ctx: &AppContext, actor: &Actor) -> Result<u64, AppError> {
    Ok(entity::Notification::find()
        .filter(of(actor))
        .filter(Column::ReadAt.is_null())
        .count(ctx.db().read())
        .await?)
}

/// A page of the inbox, newest first, of one category or of all, starting before `before`.
pub async fn list(
    ctx: &AppContext,
    actor: &Actor,
    category: Option<Category>,
    before: Option<NotificationId>,
) -> Result<InboxPage, AppError> {
    let mut query = entity::Notification::find()
        .filter(of(actor))
        .order_by_desc(Column::Id);
    if let Some(category) = category {
        query = query.filter(Column::Category.eq(category));
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    let rows: Vec<entity::notification::Model> =
        rows::up_to(PAGE + 1, query.into_query(), ctx.db().read()).await?;
    let (rows, more) = page_of(rows, PAGE);
    let events = entity::Event::find()
        .filter(entity::event::Column::Id.is_in(rows.iter().map(|row| row.event_id)))
        .into_query();
    let events: Vec<entity::event::Model> = rows::every(events, ctx.db().read()).await?;
    let items: Vec<InboxItem> = rows
        .iter()
        .filter_map(|row| {
            let event = events.iter().find(|event| event.id == row.event_id)?;
            Some(InboxItem {
                id: row.id,
                event_type: event.event_type,
                category: row.category,
                sentence: describe(event.event_type, &event.actor_name, &event.data),
                at: event.created_at,
                read: row.read_at.is_some(),
            })
        })
        .collect();
    let next = if more {
        rows.last().map(|row| row.id)
    } else {
        None
    };
    let unread = unread(ctx, actor).await?;
    Ok(InboxPage {
        workspace: actor.workspace(),
        items,
        next,
        unread,
    })
}

/// Marks one notification read or unread.
pub async fn mark(
    ctx: &AppContext,
    actor: &Actor,
    id: NotificationId,
    read: bool,
) -> Result<(), AppError> {
    let which = Condition::all().add(Column::Id.eq(id));
    match set_read(ctx, actor, which, read.then(Timestamp::now)).await? {
        0 => Err(AppError::NotFound),
        _ => Ok(()),
    }
}

/// Marks as read the unread notifications of one category or of all, up to and including `newest`.
pub async fn mark_all_read(
    ctx: &AppContext,
    actor: &Actor,
    category: Option<Category>,
    newest: Option<NotificationId>,
) -> Result<FormSuccess, AppError> {
    let now = Timestamp::now();
    let which = Condition::all()
        .add(Column::ReadAt.is_null())
        .add_option(category.map(|category| Column::Category.eq(category)))
        .add_option(newest.map(|newest| Column::Id.lte(newest)));
    let kind = category.map_or(String::new(), |category| format!("{} ", category.label()));
    Ok(match set_read(ctx, actor, which, Some(now)).await? {
        0 => FormSuccess::with_message("No unread notifications"),
        changed => FormSuccess {
            undo_read: Some(UndoRead {
                workspace: actor.workspace().to_string(),
                read_at: now,
            }),
            ..FormSuccess::with_message(format!("{} marked as read", count(changed, &kind)))
        },
    })
}

/// Marks as unread what was marked as read at that time and still is.
pub async fn undo_mark_all_read(
    ctx: &AppContext,
    actor: &Actor,
    read_at: Timestamp,
) -> Result<FormSuccess, AppError> {
    let which = Condition::all().add(Column::ReadAt.eq(read_at));
    match set_read(ctx, actor, which, None).await? {
        0 => Err(AppError::NotFound),
        changed => Ok(FormSuccess::with_message(format!(
            "{} marked as unread",
            count(changed, "")
        ))),
    }
}

fn count(n: u64, kind: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {kind}notification{plural}")
}

async fn set_read(
    ctx: &AppContext,
    actor: &Actor,
    which: Condition,
    read_at: Option<Timestamp>,
) -> Result<u64, AppError> {
    let mut tx = ctx.db().begin().await?;
    let changed = entity::Notification::update_many()
        .col_expr(Column::ReadAt, Expr::value(read_at))
        .filter(of(actor))
        .filter(which)
        .exec(&tx)
        .await?
        .rows_affected;
    tx.invalidate(Invalidation::user(actor.person().id(), Topic::Inbox));
    tx.commit().await?;
    Ok(changed)
}
