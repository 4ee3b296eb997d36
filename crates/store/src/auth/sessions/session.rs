//! Sessions: how they begin, when they were last seen, and how they end.

use domain::{AppError, Secret, SessionId, Timestamp, Topic, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Set};

use crate::auth::actor::{SESSION_LIFE, SignedInUser};
use crate::auth::caller::Seen;
use crate::auth::networks;
use crate::auth::request::RequestInfo;
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::live::Invalidation;
use crate::master_key::Token;

/// Maximum length of a stored User-Agent, in bytes.
const MAX_USER_AGENT_LEN: usize = 300;

/// A session that was just created: its cookie's value, and the page its user opens first.
pub struct NewSession {
    pub cookie: Secret,
    pub path: String,
}

pub(super) async fn open_session(
    tx: &mut Tx,
    info: &RequestInfo,
    user: UserId,
) -> Result<Secret, AppError> {
    let token = Token::generate();
    let now = Timestamp::now();
    let mut user_agent = info.user_agent.clone();
    user_agent.truncate(user_agent.floor_char_boundary(MAX_USER_AGENT_LEN));
    entity::session::ActiveModel {
        id: Set(SessionId::new()),
        token_hash: Set(token.hash()),
        user_id: Set(user),
        address: Set(info.address.to_canonical().to_string()),
        user_agent: Set(user_agent),
        created_at: Set(now),
        authenticated_at: Set(now),
        last_seen_at: Set(now),
        expires_at: Set(now.after(SESSION_LIFE)),
    }
    .insert(tx)
    .await?;
    networks::remember(tx, user, info.address).await?;
    tx.invalidate(Invalidation::user(user, Topic::Account));
    Ok(token.plain().clone())
}

pub async fn sign_out(ctx: &AppContext, person: &SignedInUser) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    entity::Session::delete_by_id(person.session())
        .exec(&tx)
        .await?;
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    tx.commit().await?;
    Ok(())
}

/// Ends all of this user's sessions except one, and returns how many there were.
pub async fn end_other_sessions(
    tx: &mut Tx,
    user: UserId,
    keep: Option<SessionId>,
) -> Result<u64, AppError> {
    use entity::session::Column;
    let mut ended = entity::Session::delete_many().filter(Column::UserId.eq(user));
    if let Some(keep) = keep {
        ended = ended.filter(Column::Id.ne(keep));
    }
    let ended = ended.exec(tx).await?.rows_affected;
    tx.invalidate(Invalidation::user(user, Topic::Account));
    Ok(ended)
}

/// Precision of "last seen" and "last active": within this time, another visit is not recorded.
pub const SEEN_EVERY: std::time::Duration = domain::minutes(1);

/// Records that someone was active. Written apart from the request, so that viewing a page writes nothing.
pub async fn record_last_seen(ctx: &AppContext, seen: &Seen) -> Result<(), AppError> {
    let now = Timestamp::now();
    let before = now.before(SEEN_EVERY);
    let tx = ctx.db().begin().await?;
    {
        use entity::session::Column;
        entity::Session::update_many()
            .col_expr(Column::LastSeenAt, Expr::value(now))
            .filter(Column::Id.eq(seen.person.session()))
            .filter(Column::LastSeenAt.lt(before))
            .exec(&tx)
            .await?;
    }
    if !seen.memberships.is_empty() {
        use entity::membership::Column;
        entity::Membership::update_many()
            .col_expr(Column::LastActiveAt, Expr::value(now))
            .filter(Column::Id.is_in(seen.memberships.iter().copied()))
            .filter(
                sea_orm::Condition::any()
                    .add(Column::LastActiveAt.is_null())
                    .add(Column::LastActiveAt.lt(before)),
            )
            .exec(&tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}
