//! Parts of the queue's SQL statements: which deliveries are due, to which webhooks, and who leased them.

use domain::webhooks::DeliveryStatus;
use domain::{DeliveryId, Timestamp};
use sea_orm::prelude::Uuid;
use sea_orm::sea_query::{CaseStatement, Condition, Expr, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select, Value};

use crate::db::entity;
use crate::db::entity::delivery::Column;

pub(super) fn due(now: Timestamp) -> Select<entity::Delivery> {
    entity::Delivery::find()
        .filter(Column::Status.eq(DeliveryStatus::Pending))
        .filter(Column::NextAttemptAt.lte(now))
}

/// Whether the delivery's webhook meets this condition.
pub(super) fn webhook(is: Condition) -> Expr {
    use entity::webhook;
    use sea_orm::ExprTrait;
    let such = Query::select()
        .expr(Expr::val(1))
        .from(webhook::Entity)
        .and_where(
            Expr::col((webhook::Entity, webhook::Column::Id))
                .equals(Column::WebhookId.as_column_ref()),
        )
        .cond_where(is)
        .take();
    Expr::exists(such)
}

/// Matches webhooks for which `Health::is_suspect` holds.
pub(super) fn suspect() -> Condition {
    use entity::webhook::Column;
    Condition::any()
        .add(Column::Failures.gt(0))
        .add(Column::LastSuccessAt.is_null())
}

/// Updates deliveries that this lease still covers, and releases the lease. A table constraint ensures that only
/// pending deliveries have a lease. Filtering by status as well would lead PostgreSQL to use the index of due
/// deliveries: its statistics say it is small, but it holds entries for all recently due rows.
pub(super) fn free(lease: Uuid, ids: Vec<DeliveryId>) -> sea_orm::UpdateMany<entity::Delivery> {
    entity::Delivery::update_many()
        .col_expr(Column::LeaseToken, Expr::value(None::<Uuid>))
        .col_expr(Column::LeaseUntil, Expr::value(None::<Timestamp>))
        .filter(Column::Id.is_in(ids))
        .filter(Column::LeaseToken.eq(lease))
}

/// Sets a separate value for each row in one statement.
pub(super) fn each<K, V>(key: impl ColumnTrait, values: &[(K, V)]) -> Expr
where
    K: Into<Value> + Copy,
    V: Into<Value> + Copy,
{
    let mut each = CaseStatement::new();
    for (id, value) in values {
        each = each.case(key.eq(*id), Expr::value(*value));
    }
    each.into()
}
