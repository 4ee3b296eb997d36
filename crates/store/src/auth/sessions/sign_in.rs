//! Sign-in with an email address and a password, and the page that follows.

use domain::catalog::EventType;
use domain::session::{WorkspaceMembership, browser_label};
use domain::{AppError, Email, Role, Secret, Slug, UserId, WorkspaceId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};
use serde_json::json;

use super::passwords::set_password_hash;
use super::session::{NewSession, open_session};
use crate::auth::networks;
use crate::auth::reauth::lock_user;
use crate::auth::request::RequestInfo;
use crate::context::AppContext;
use crate::db::entity;
use crate::events::{self, NewEvent, Origin};

/// The same error for an unknown email address and a wrong password.
fn wrong_credentials() -> AppError {
    AppError::field("password", "Incorrect email or password")
}

pub async fn sign_in(
    ctx: &AppContext,
    info: &RequestInfo,
    email: &str,
    password: &Secret,
) -> Result<NewSession, AppError> {
    let email = Email::parse(email).map_err(|error| AppError::field("email", error))?;
    if password.is_empty() {
        return Err(AppError::field("password", "Enter your password"));
    }
    let user = find_user(ctx, &email).await?;
    let known = match &user {
        Some(user) => networks::is_known(ctx.db(), user.id, info.address).await?,
        None => false,
    };
    ctx.limits().sign_in(info.address, email.as_str(), known)?;
    let hash = user.as_ref().map(|user| user.password_hash.as_str());
    if !ctx.passwords().verify(password, hash).await? {
        return Err(wrong_credentials());
    }
    let user = user.ok_or_else(wrong_credentials)?;
    let renewed = if ctx.passwords().is_outdated(&user.password_hash) {
        Some(ctx.passwords().hash(password).await?)
    } else {
        None
    };
    let mut tx = ctx.db().begin().await?;
    // The verified facts must still be true: the password or the email address may have changed since.
    let now = lock_user(&tx, user.id).await?;
    if now.password_hash != user.password_hash || now.email != user.email {
        return Err(wrong_credentials());
    }
    if let Some(hash) = renewed {
        set_password_hash(&mut tx, user.id, hash).await?;
    }
    let cookie = open_session(&mut tx, info, user.id).await?;
    let data = json!({"browser": browser_label(&info.user_agent), "address": info.address.to_canonical().to_string()});
    let event = NewEvent::about_person(user.id, EventType::SecuritySignedIn, data);
    events::record(&mut tx, Origin::person(user.id, &user.name), event).await?;
    tx.commit().await?;
    Ok(NewSession {
        cookie,
        path: first_path(ctx, user.id).await?,
    })
}

pub(super) async fn find_user(
    ctx: &AppContext,
    email: &Email,
) -> Result<Option<entity::user::Model>, AppError> {
    Ok(entity::User::find()
        .filter(entity::user::Column::Email.eq(email.clone()))
        .one(ctx.db().read())
        .await?)
}

/// The first page for someone who did not request one: the workspace they used last, or the page that creates one.
pub async fn first_path(ctx: &AppContext, user: UserId) -> Result<String, AppError> {
    let places = places(ctx, user).await?;
    Ok(places
        .first()
        .map_or_else(|| "/new".to_owned(), |place| format!("/w/{}", place.slug)))
}

/// A user's workspaces, most recently used first.
pub async fn places(ctx: &AppContext, user: UserId) -> Result<Vec<WorkspaceMembership>, AppError> {
    use entity::{membership, workspace};
    let rows: Vec<(WorkspaceId, String, Slug, Role)> = entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(workspace::Entity)
                .from(membership::Column::WorkspaceId)
                .to(workspace::Column::Id)
                .into(),
        )
        .filter(membership::Column::UserId.eq(user))
        .order_by_desc(Expr::cust("COALESCE(last_active_at, joined_at)"))
        .select_only()
        .column_as(workspace::Column::Id, "id")
        .column_as(workspace::Column::Name, "name")
        .column_as(workspace::Column::Slug, "slug")
        .column_as(membership::Column::Role, "role")
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name, slug, role)| WorkspaceMembership {
            id,
            name,
            slug,
            role,
        })
        .collect())
}
