//! Changes of password.

use domain::AppError;
use domain::account::PasswordForm;
use domain::catalog::EventType;
use serde_json::json;

use crate::auth::{RequestInfo, SignedInUser, sessions};
use crate::context::AppContext;
use crate::events::{self, NewEvent};

/// Sets a new password and ends every other session, every link, and a change of address that waits. Says how many
/// sessions ended.
pub async fn update_password(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
    form: &PasswordForm,
) -> Result<u64, AppError> {
    sessions::confirm_identity(ctx, info, person, &form.current_password).await?;
    sessions::check_password_strength(
        ctx,
        "password",
        &form.password,
        person.name(),
        person.email(),
    )
    .await?;
    let hash = ctx.passwords().hash(&form.password).await?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_person(&tx, person).await?;
    sessions::set_password_hash(&mut tx, person.id(), hash).await?;
    let rotated = sessions::rotate(&mut tx, person, true).await?;
    let ended = sessions::end_other_sessions(&mut tx, person.id(), Some(person.session())).await?;
    sessions::end_links(&mut tx, person.id()).await?;
    let event = NewEvent::about_person(
        person.id(),
        EventType::SecurityPasswordChanged,
        json!({"ended": ended}),
    );
    events::record(&mut tx, person, event).await?;
    tx.commit().await?;
    rotated.adopt(person);
    Ok(ended)
}
