//! New passwords: whether one is good enough, and storing it.

use domain::{AppError, Email, Secret, Timestamp, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::context::AppContext;
use crate::db::{Tx, entity};

/// Refuses a password that is too short, too long or easy to guess; `field` is where it was typed.
pub async fn check_password_strength(
    ctx: &AppContext,
    field: &str,
    password: &Secret,
    name: &str,
    email: &Email,
) -> Result<(), AppError> {
    ctx.passwords()
        .check_new(password, &[name, email.as_str()])
        .await
        .map_err(|error| AppError::field(field, error))
}

pub async fn set_password_hash(tx: &mut Tx, user: UserId, hash: String) -> Result<(), AppError> {
    use entity::user::Column;
    entity::User::update_many()
        .col_expr(Column::PasswordHash, Expr::value(hash))
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(user))
        .exec(tx)
        .await?;
    Ok(())
}
