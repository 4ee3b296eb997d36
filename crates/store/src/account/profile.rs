//! Saves the name, and begins a change of email address.

use domain::form::FormSuccess;
use domain::{AppError, Email, Name, Secret, Timestamp, Topic, fold};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::email_change::{begin_change, pending};
use crate::auth::{RequestInfo, SignedInUser, sessions};
use crate::context::AppContext;
use crate::db::entity;
use crate::live::Invalidation;

/// Saves the name immediately. A changed email address takes effect once it is confirmed; one that is already pending
/// stays pending.
pub async fn save_profile(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
    name: Name,
    email: Email,
    current_password: &Secret,
) -> Result<FormSuccess, AppError> {
    let moves = email != *person.email()
        && pending(ctx.db().read(), person.id())
            .await?
            .is_none_or(|change| change.new_email != email);
    if moves {
        sessions::confirm_identity(ctx, info, person, current_password).await?;
        ctx.limits()
            .mail(info.address, person.email().as_str(), true)?;
        ctx.limits().mail(info.address, email.as_str(), false)?;
        ctx.limits().unconfirmed(&email)?;
    }
    let mut tx = ctx.db().begin().await?;
    let user = sessions::lock_person(&tx, person).await?;
    {
        use entity::user::Column;
        entity::User::update_many()
            .col_expr(Column::Name, Expr::value(name.to_string()))
            .col_expr(Column::FoldedName, Expr::value(fold(name.as_str())))
            .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
            .filter(Column::Id.eq(person.id()))
            .exec(&tx)
            .await?;
    }
    if moves {
        begin_change(&mut tx, ctx, &user, name.as_str(), &email).await?;
    }
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    tx.commit().await?;
    Ok(FormSuccess::with_message(if moves {
        format!("Changes saved. Check {email} for a confirmation link.")
    } else {
        "Changes saved".to_owned()
    }))
}
