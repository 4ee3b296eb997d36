//! The preview of a choice.

use domain::billing::{NAMED, OverLimit, Preview};
use domain::subscriptions::Terms;
use domain::{AppError, Money, Role, Timestamp};
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};

use super::decision::decide;
use crate::auth::Actor;
use crate::context::AppContext;
use crate::db::entity::subscription::Model as Subscription;
use crate::db::entity::{self, membership, user};

pub(super) async fn preview(
    ctx: &AppContext,
    actor: &Actor,
    row: &Subscription,
    terms: Terms,
    used: u64,
    now: Timestamp,
) -> Result<Preview, AppError> {
    let catalog = ctx.catalog();
    let decision = decide(catalog, row, &terms, now)?;
    let seats = catalog
        .plan(&terms.plan)
        .map_or(u32::MAX, |plan| plan.seats);
    let beyond = if used > u64::from(seats) {
        Some(OverLimit {
            seats,
            used,
            names: last_to_join(ctx, actor, used - u64::from(seats)).await?,
        })
    } else {
        None
    };
    Ok(Preview {
        name: terms.name(catalog),
        terms,
        effect: decision.effect,
        today: decision.today,
        owed: Money::default() - decision.balance,
        next: decision.next,
        next_charge: decision.next_charge,
        next_at: decision.next_at,
        days_added: decision.days_added,
        beyond,
    })
}

/// The names of the last `count` members to join, up to the display limit.
async fn last_to_join(
    ctx: &AppContext,
    actor: &Actor,
    count: u64,
) -> Result<Vec<String>, AppError> {
    Ok(entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(user::Entity)
                .from(membership::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(membership::Column::WorkspaceId.eq(actor.workspace()))
        .filter(membership::Column::Role.ne(Role::Owner))
        .order_by_desc(membership::Column::JoinedAt)
        .limit(count.min(NAMED as u64))
        .select_only()
        .column(user::Column::Name)
        .into_tuple()
        .all(ctx.db().read())
        .await?)
}
