//! A person's own inbox needs no permission: rows are theirs alone. Those without a workspace (sign-ins, a changed
//! password) show in every workspace's inbox.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QueryTrait,
};

use super::model::{InboxItem, InboxPage, PAGE};
use crate::catalog::Category;
use crate::db::entity::{self, notification::Column};
use crate::db::rows;
use crate::domain::{AppError, NotificationId, Timestamp};
use crate::events::describe;
use crate::house::House;
use crate::live::{Hint, Topic};
use crate::session::Actor;

fn of(actor: &Actor) -> Condition {
    Condition::all()
        .add(Column::UserId.eq(actor.person().id()))
        .add(
            Condition::any()
                .add(Column::WorkspaceId.eq(actor.workspace()))
                .add(Column::WorkspaceId.is_null()),
        )
}

pub async fn unread(house: &House, actor: &Actor) -> Result<u64, AppError> {
    Ok(entity::Notification::find()
        .filter(of(actor))
        .filter(Column::ReadAt.is_null())
        .count(house.db().read())
        .await?)
}

/// A page of the inbox, newest first, of one category or of all, beginning before `before`.
pub async fn list(
    house: &House,
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
    let mut rows: Vec<entity::notification::Model> =
        rows::up_to(PAGE + 1, query.into_query(), house.db().read()).await?;
    let more = rows.len() as u64 > PAGE;
    rows.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let events = entity::Event::find()
        .filter(entity::event::Column::Id.is_in(rows.iter().map(|row| row.event_id)))
        .into_query();
    let events: Vec<entity::event::Model> = rows::every(events, house.db().read()).await?;
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
    let unread = unread(house, actor).await?;
    Ok(InboxPage {
        workspace: actor.workspace(),
        items,
        next,
        unread,
    })
}

/// Marks one notification read or unread, or all of them read.
pub async fn mark(
    house: &House,
    actor: &Actor,
    which: Option<NotificationId>,
    read: bool,
) -> Result<u64, AppError> {
    let mut tx = house.db().begin().await?;
    let mut update = entity::Notification::update_many()
        .col_expr(Column::ReadAt, Expr::value(read.then(Timestamp::now)))
        .filter(of(actor));
    update = match which {
        Some(id) => update.filter(Column::Id.eq(id)),
        None => update.filter(Column::ReadAt.is_null()),
    };
    let changed = update.exec(&tx).await?.rows_affected;
    if which.is_some() && changed == 0 {
        return Err(AppError::NotFound);
    }
    tx.hint(Hint::user(actor.person().id(), Topic::Inbox));
    tx.commit().await?;
    Ok(changed)
}
