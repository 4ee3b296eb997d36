//! The workspace's subscription, for the page and for a change of it.

use domain::AppError;
use sea_orm::EntityTrait;

use super::subscriptions;
use crate::auth::Actor;
use crate::context::AppContext;
use crate::db::entity::subscription::Model as Subscription;
use crate::db::{Tx, entity};

pub(super) async fn row(ctx: &AppContext, actor: &Actor) -> Result<Subscription, AppError> {
    entity::Subscription::find_by_id(actor.workspace())
        .one(ctx.db().read())
        .await?
        .ok_or(AppError::NotFound)
}

pub(super) async fn locked(tx: &Tx, actor: &Actor) -> Result<Subscription, AppError> {
    subscriptions::locked(tx, actor.workspace())
        .await?
        .ok_or(AppError::NotFound)
}

pub(super) fn no_payment_under_way(row: &Subscription) -> Result<(), AppError> {
    if row.payment_id.is_some() {
        return Err(AppError::Conflict(
            "A payment is being processed. Try again once it's complete.".to_owned(),
        ));
    }
    Ok(())
}
