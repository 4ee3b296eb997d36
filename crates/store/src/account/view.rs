//! The data of the account page.

use domain::account::{AccountView, PendingEmail, SessionView};
use domain::session::browser_label;
use domain::{AppError, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};

use super::email_change::waits;
use crate::auth::SignedInUser;
use crate::context::AppContext;
use crate::db::entity;

pub async fn view(ctx: &AppContext, person: &SignedInUser) -> Result<AccountView, AppError> {
    use entity::{email_change, session};
    // Each session comes with the pending email change, of which there is at most one: one query for both.
    let found = entity::Session::find()
        .join(
            JoinType::LeftJoin,
            session::Entity::belongs_to(email_change::Entity)
                .from(session::Column::UserId)
                .to(email_change::Column::UserId)
                .on_condition(|_, _| waits())
                .into(),
        )
        .select_also(entity::EmailChange)
        .filter(session::Column::UserId.eq(person.id()))
        .filter(session::Column::ExpiresAt.gt(Timestamp::now()))
        .order_by_desc(session::Column::LastSeenAt)
        .all(ctx.db().read())
        .await?;
    let pending = found.first().and_then(|(_, change)| change.clone());
    Ok(AccountView {
        name: person.name().to_owned(),
        email: person.email().clone(),
        confirmed: !person.is_asked_to_confirm(),
        pending: pending.map(|change| PendingEmail {
            email: change.new_email,
            expires_at: change.expires_at,
        }),
        ask_password: !person.is_fresh(),
        sessions: found
            .into_iter()
            .map(|(session, _)| SessionView {
                id: session.id,
                browser: browser_label(&session.user_agent),
                address: session.address,
                last_seen_at: session.last_seen_at,
                current: session.id == person.session(),
            })
            .collect(),
    })
}
