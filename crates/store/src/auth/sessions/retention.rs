//! Deletes old data of sign-ins: sessions, links, changes of email address, emails and networks.

use domain::{AppError, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::auth::actor::SESSION_IDLE;
use crate::auth::{links, networks};
use crate::context::AppContext;
use crate::db::entity;
use crate::email;

/// Removes unusable data: ended sessions, invalid links, finished changes of email address, old emails.
pub async fn sweep(ctx: &AppContext) -> Result<u64, AppError> {
    let now = Timestamp::now();
    let tx = ctx.db().begin().await?;
    let sessions = {
        use entity::session::Column;
        entity::Session::delete_many()
            .filter(
                sea_orm::Condition::any()
                    .add(Column::ExpiresAt.lte(now))
                    .add(Column::LastSeenAt.lte(now.before(SESSION_IDLE))),
            )
            .exec(&tx)
            .await?
    };
    let tokens = entity::Token::delete_many()
        .filter(entity::token::Column::ExpiresAt.lt(now.before(domain::days(1))))
        .exec(&tx)
        .await?;
    let changes = {
        use entity::email_change::Column;
        entity::EmailChange::delete_many()
            .filter(
                sea_orm::Condition::any()
                    .add(Column::EndedAt.is_not_null())
                    .add(Column::CreatedAt.lt(now.before(links::REVERT_LIFE))),
            )
            .exec(&tx)
            .await?
    };
    let messages = entity::OutboxEmail::delete_many()
        .filter(entity::outbox_email::Column::CreatedAt.lt(now.before(email::KEPT)))
        .exec(&tx)
        .await?;
    let networks = networks::sweep(&tx).await?;
    tx.commit().await?;
    Ok([sessions, tokens, changes, messages]
        .iter()
        .map(|removed| removed.rows_affected)
        .sum::<u64>()
        + networks)
}
