//! The networks from which people sign in. Failed attempts from other networks do not count against a network where the
//! owner signed in before, so nobody can lock an owner out by guessing. Networks outlive sessions, because a person who
//! signs in again has none.

use std::net::IpAddr;

use domain::{AppError, Timestamp, UserId, days};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};

use crate::db::entity::known_network::Column;
use crate::db::{Db, Tx, entity};
use crate::rate_limit::network::network;

/// How many networks are kept for one person, the latest ones.
const MAX_COUNT: usize = 20;
/// How long a network is kept after the last sign-in from it.
const KEPT: std::time::Duration = days(180);

/// Records that someone signed in from this network.
pub(super) async fn remember(tx: &mut Tx, user: UserId, address: IpAddr) -> Result<(), AppError> {
    let row = entity::known_network::ActiveModel {
        user_id: Set(user),
        network: Set(network(address)),
        last_seen_at: Set(Timestamp::now()),
    };
    entity::KnownNetwork::insert(row)
        .on_conflict(
            OnConflict::columns([Column::UserId, Column::Network])
                .update_column(Column::LastSeenAt)
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    let known: Vec<String> = entity::KnownNetwork::find()
        .filter(Column::UserId.eq(user))
        .order_by_desc(Column::LastSeenAt)
        .select_only()
        .column(Column::Network)
        .into_tuple()
        .all(tx)
        .await?;
    if let Some(forgotten) = known.get(MAX_COUNT..).filter(|rest| !rest.is_empty()) {
        entity::KnownNetwork::delete_many()
            .filter(Column::UserId.eq(user))
            .filter(Column::Network.is_in(forgotten))
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Whether someone signed in from this network recently.
pub(super) async fn is_known(db: &Db, user: UserId, address: IpAddr) -> Result<bool, AppError> {
    let known = entity::KnownNetwork::find_by_id((user, network(address)))
        .filter(Column::LastSeenAt.gt(Timestamp::now().before(KEPT)))
        .count(db.read())
        .await?;
    Ok(known > 0)
}

/// Removes networks without recent sign-ins. Returns how many there were.
pub(super) async fn sweep(tx: &Tx) -> Result<u64, AppError> {
    let swept = entity::KnownNetwork::delete_many()
        .filter(Column::LastSeenAt.lt(Timestamp::now().before(KEPT)))
        .exec(tx)
        .await?;
    Ok(swept.rows_affected)
}
