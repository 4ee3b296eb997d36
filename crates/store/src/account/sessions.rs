//! Ends a user's sessions.

use domain::catalog::EventType;
use domain::{AppError, SessionId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use crate::auth::{SignedInUser, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent};

pub async fn end_session(
    ctx: &AppContext,
    person: &SignedInUser,
    session: SessionId,
) -> Result<(), AppError> {
    use entity::session::Column;
    let mut tx = ctx.db().begin().await?;
    let ended = entity::Session::delete_many()
        .filter(Column::Id.eq(session))
        .filter(Column::UserId.eq(person.id()))
        .exec(&tx)
        .await?;
    if ended.rows_affected == 0 {
        return Err(AppError::NotFound);
    }
    record_ended(&mut tx, person, 1).await?;
    tx.commit().await?;
    Ok(())
}

pub async fn end_others(ctx: &AppContext, person: &SignedInUser) -> Result<u64, AppError> {
    let mut tx = ctx.db().begin().await?;
    let ended = sessions::end_other_sessions(&mut tx, person.id(), Some(person.session())).await?;
    if ended > 0 {
        record_ended(&mut tx, person, ended).await?;
    }
    tx.commit().await?;
    Ok(ended)
}

async fn record_ended(tx: &mut Tx, person: &SignedInUser, count: u64) -> Result<(), AppError> {
    let event = NewEvent::about_person(
        person.id(),
        EventType::SecuritySessionsEnded,
        json!({"count": count}),
    );
    events::record(tx, person, event).await?;
    Ok(())
}
