//! Preferences belong to the person: they need a sign-in but no permission, and record no event. A change only refreshes
//! the person's other pages.

use std::collections::HashMap;

use domain::catalog::{Category, Channel, EventType};
use domain::notifications::{MatrixView, Range, Row, Switch};
use domain::{AppError, Timestamp, Topic, UserId, days};
use sea_orm::sea_query::{Expr, OnConflict, Query, UnionType};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Set,
};

use crate::auth::SignedInUser;
use crate::context::AppContext;
use crate::db::entity;
use crate::db::entity::notification_preference::Column;
use crate::live::Invalidation;

/// What a person is notified of: the defaults, and what they changed.
#[derive(Clone, Debug, Default)]
pub struct Preferences(HashMap<(String, Channel), bool>);

impl Preferences {
    pub fn is_on(&self, category: Category, channel: Channel) -> bool {
        let chosen = self.0.get(&(category.as_str().to_owned(), channel));
        chosen
            .copied()
            .unwrap_or_else(|| category.default_on(channel))
    }

    /// Whether a high-volume type is on. (Stored under the In-app channel; the cells decide the channels.)
    pub fn wants(&self, event: EventType) -> bool {
        !event.is_quiet() || self.0.get(&(event.as_str().to_owned(), Channel::InApp)) == Some(&true)
    }
}

/// The preferences of several people.
pub async fn preferences(
    connection: &impl ConnectionTrait,
    users: &[UserId],
) -> Result<HashMap<UserId, Preferences>, AppError> {
    let rows = entity::NotificationPreference::find()
        .filter(Column::UserId.is_in(users.iter().copied()))
        .all(connection)
        .await?;
    let mut found: HashMap<UserId, Preferences> = users
        .iter()
        .map(|&user| (user, Preferences::default()))
        .collect();
    for row in rows {
        found
            .entry(row.user_id)
            .or_default()
            .0
            .insert((row.topic, row.channel), row.enabled);
    }
    Ok(found)
}

pub async fn view(ctx: &AppContext, person: &SignedInUser) -> Result<MatrixView, AppError> {
    let read = ctx.db().read();
    let preferences = preferences(read, &[person.id()])
        .await?
        .remove(&person.id())
        .unwrap_or_default();
    let sent = told_of(ctx, person.id()).await?;
    let rows = Category::ALL
        .into_iter()
        .map(|category| Row {
            category,
            in_app: preferences.is_on(category, Channel::InApp),
            email: preferences.is_on(category, Channel::Email),
            sent: sent
                .iter()
                .find(|(other, _)| *other == category)
                .map_or(0, |&(_, n)| n.unsigned_abs()),
        })
        .collect();
    let quiet = EventType::QUIET
        .into_iter()
        .map(|event| (event, preferences.wants(event)))
        .collect();
    Ok(MatrixView { rows, quiet })
}

/// How many events of each category someone was notified of in the last 30 days. Inbox and email together count once.
async fn told_of(ctx: &AppContext, user: UserId) -> Result<Vec<(Category, i64)>, AppError> {
    use entity::{notification, outbox_email};
    let since = Timestamp::now().before(days(30));
    let mut told = entity::Notification::find()
        .select_only()
        .column(notification::Column::Category)
        .column(notification::Column::EventId)
        .filter(notification::Column::UserId.eq(user))
        .filter(notification::Column::CreatedAt.gt(since))
        .into_query();
    let mailed = entity::OutboxEmail::find()
        .select_only()
        .column(outbox_email::Column::Category)
        .column(outbox_email::Column::EventId)
        .filter(outbox_email::Column::UserId.eq(user))
        .filter(outbox_email::Column::EventId.is_not_null())
        .filter(outbox_email::Column::CreatedAt.gt(since))
        .into_query();
    told.union(UnionType::Distinct, mailed);
    let counts = Query::select()
        .column(notification::Column::Category)
        .expr_as(Expr::cust("COUNT(*)"), "sent")
        .from_subquery(told, "told")
        .group_by_col(notification::Column::Category)
        .take();
    let rows = ctx.db().read().query_all(&counts).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("", "category")?, row.try_get("", "sent")?)))
        .collect()
}

pub async fn set(
    ctx: &AppContext,
    person: &SignedInUser,
    switch: Switch,
    on: bool,
) -> Result<(), AppError> {
    write(ctx, person.id(), &[(switch, on)]).await
}

pub async fn set_range(
    ctx: &AppContext,
    person: &SignedInUser,
    range: Range,
    on: bool,
) -> Result<(), AppError> {
    let cells: Vec<(Switch, bool)> = range
        .cells()
        .into_iter()
        .map(|(category, channel)| (Switch::Cell(category, channel), on))
        .collect();
    write(ctx, person.id(), &cells).await
}

pub async fn write(
    ctx: &AppContext,
    user: UserId,
    switches: &[(Switch, bool)],
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let rows = switches.iter().map(|&(switch, on)| {
        let (topic, channel) = match switch {
            Switch::Cell(category, channel) => (category.as_str(), channel),
            Switch::Quiet(event) => (event.as_str(), Channel::InApp),
        };
        entity::notification_preference::ActiveModel {
            user_id: Set(user),
            topic: Set(topic.to_owned()),
            channel: Set(channel),
            enabled: Set(on),
            updated_at: Set(now),
        }
    });
    let change = entity::NotificationPreference::insert_many(rows)
        .on_conflict(
            OnConflict::columns([Column::UserId, Column::Topic, Column::Channel])
                .update_columns([Column::Enabled, Column::UpdatedAt])
                .to_owned(),
        )
        .build(ctx.db().backend());
    let invalidation = Invalidation::user(user, Topic::Preferences);
    Ok(ctx.db().change(change, invalidation).await?)
}

const UNSUBSCRIBE: &str = "unsubscribe";

/// The token of an email's unsubscribe link: the person, the switch, and a MAC that only this server can make. It does
/// not expire: email is read late, and the token can only turn one switch off.
pub fn unsubscribe_token(ctx: &AppContext, user: UserId, switch: Switch) -> String {
    let message = format!("{user}~{switch}");
    let tag = ctx.master_key().mac(UNSUBSCRIBE, message.as_bytes());
    format!("{message}~{tag}")
}

pub fn read_unsubscribe(ctx: &AppContext, token: &str) -> Option<(UserId, Switch)> {
    let (message, tag) = token.rsplit_once('~')?;
    if !ctx
        .master_key()
        .is_mac(UNSUBSCRIBE, message.as_bytes(), tag)
    {
        return None;
    }
    let (user, switch) = message.split_once('~')?;
    Some((user.parse().ok()?, switch.parse().ok()?))
}
