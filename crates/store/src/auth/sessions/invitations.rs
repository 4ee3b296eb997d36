//! The page of an invitation, and accepting it: as someone signed in, or as someone new.

use domain::catalog::EventType;
use domain::session::{InvitationState, InvitationView};
use domain::{AppError, FieldErrors, Name, Secret, Timestamp, UserId, WorkspaceId};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;

use super::confirmation::{mark_confirmed, send_confirmation};
use super::passwords::check_password_strength;
use super::session::open_session;
use super::sign_in::find_user;
use super::sign_up::insert_user;
use super::workspaces::{insert_membership, lock_workspace};
use crate::auth::actor::SignedInUser;
use crate::auth::key_changes::KeyChange;
use crate::auth::links::{self, InvitationLink};
use crate::auth::request::RequestInfo;
use crate::billing::{seats, subscriptions};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::events::{self, NewEvent, Origin};

/// An invitation found by its link, with its workspace.
struct Opened {
    invitation: entity::invitation::Model,
    workspace: entity::workspace::Model,
    by_mail: bool,
}

async fn open_invitation(
    ctx: &AppContext,
    connection: &impl ConnectionTrait,
    token: &str,
) -> Result<Option<Opened>, AppError> {
    let Some(link) = InvitationLink::parse(token) else {
        return Ok(None);
    };
    let Some(invitation) = entity::Invitation::find_by_id(link.id())
        .one(connection)
        .await?
    else {
        return Ok(None);
    };
    let Some(carrier) = link.verify(ctx, invitation.generation) else {
        return Ok(None);
    };
    if invitation.cancelled_at.is_some() {
        return Ok(None);
    }
    let workspace = entity::Workspace::find_by_id(invitation.workspace_id)
        .one(connection)
        .await?;
    Ok(workspace.map(|workspace| Opened {
        invitation,
        workspace,
        by_mail: carrier == links::LinkChannel::Email,
    }))
}

/// The data of an invitation's page. An invalid or forged link is not found.
pub async fn view_invitation(
    ctx: &AppContext,
    info: &RequestInfo,
    visitor: Option<&SignedInUser>,
    token: &str,
) -> Result<InvitationView, AppError> {
    ctx.limits().token(info.address)?;
    let opened = open_invitation(ctx, ctx.db().read(), token)
        .await?
        .ok_or(AppError::NotFound)?;
    let Opened {
        invitation,
        workspace,
        ..
    } = opened;
    let inviter = match invitation.invited_by {
        Some(id) => entity::User::find_by_id(id)
            .one(ctx.db().read())
            .await?
            .map(|user| user.name),
        None => None,
    };
    let member = match visitor {
        Some(person) => is_member(ctx.db().read(), workspace.id, person.id()).await?,
        None => false,
    };
    let state = if member {
        InvitationState::Member {
            slug: workspace.slug,
        }
    } else if invitation.accepted_at.is_some() {
        // Someone who follows the link again later may simply be signed out.
        if visitor.is_some() {
            return Err(AppError::NotFound);
        }
        InvitationState::Accepted
    } else if invitation.expires_at <= Timestamp::now() {
        InvitationState::Expired
    } else {
        match visitor {
            Some(person) if *person.email() == invitation.email => InvitationState::Ready,
            Some(person) => InvitationState::OtherPerson {
                email: person.email().to_string(),
            },
            None if find_user(ctx, &invitation.email).await?.is_some() => {
                InvitationState::SignInFirst
            }
            None => InvitationState::NewPerson,
        }
    };
    Ok(InvitationView {
        workspace: workspace.name,
        inviter: inviter.unwrap_or_else(|| "Someone".to_owned()),
        email: invitation.email.to_string(),
        role: invitation.role,
        state,
    })
}

async fn is_member(
    connection: &impl ConnectionTrait,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<bool, AppError> {
    use entity::membership::Column;
    let rows = entity::Membership::find()
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::UserId.eq(user))
        .count(connection)
        .await?;
    Ok(rows > 0)
}

/// Who accepts an invitation: someone signed in, or someone new with the name and password they chose.
pub enum Accepting<'a> {
    Person(&'a SignedInUser),
    Newcomer { name: &'a str, password: &'a Secret },
}

/// Accepts an invitation once, and returns the page to open and, for someone new, the session.
#[expect(
    clippy::too_many_lines,
    reason = "one transaction, whose steps are read in their order"
)]
pub async fn accept_invitation(
    ctx: &AppContext,
    info: &RequestInfo,
    accepting: Accepting<'_>,
    token: &str,
) -> Result<(String, Option<Secret>), AppError> {
    ctx.limits().token(info.address)?;
    let preview = open_invitation(ctx, ctx.db().read(), token)
        .await?
        .ok_or(AppError::NotFound)?;
    let email = preview.invitation.email.clone();
    // Slow work (hashing) and early refusals come before the write transaction.
    let newcomer = match &accepting {
        Accepting::Person(person) if *person.email() != email => {
            return Err(AppError::Conflict(format!(
                "This invitation is for {}, but you're signed in as {}.",
                email.masked(),
                person.email()
            )));
        }
        Accepting::Person(_) => None,
        Accepting::Newcomer { name, password } => {
            if find_user(ctx, &email).await?.is_some() {
                return Err(AppError::Conflict(
                    "You already have an account. Sign in to accept.".to_owned(),
                ));
            }
            let mut errors = FieldErrors::new();
            let name = errors.check("name", Name::parse(name));
            if let Err(AppError::Invalid(weak)) = check_password_strength(
                ctx,
                "password",
                password,
                name.as_ref().map_or("", Name::as_str),
                &email,
            )
            .await
            {
                weak.iter()
                    .for_each(|(field, message)| errors.add(field, message));
            }
            let Some(name) = name.filter(|_| errors.is_empty()) else {
                return Err(AppError::Invalid(errors));
            };
            Some((name, ctx.passwords().hash(password).await?))
        }
    };

    let mut tx = ctx.db().begin().await?;
    lock_workspace(&tx, preview.workspace.id).await?;
    let opened = open_invitation(ctx, &tx, token)
        .await?
        .ok_or(AppError::NotFound)?;
    let Opened {
        invitation,
        workspace,
        by_mail,
    } = opened;
    let now = Timestamp::now();
    if invitation.expires_at <= now {
        return Err(AppError::Conflict(
            "This invitation has expired. Ask for a new one.".to_owned(),
        ));
    }
    ensure_inviter_may_still_grant(&tx, &invitation).await?;
    subscriptions::ensure_not_frozen(&tx, workspace.id).await?;
    seats::require_place(&tx, ctx.catalog(), workspace.id).await?;
    let (user, name, cookie) = match (&accepting, newcomer) {
        (Accepting::Person(person), _) => (person.id(), person.name().to_owned(), None),
        (Accepting::Newcomer { .. }, Some((name, hash))) => {
            let user = insert_user(&mut tx, &name, &email, hash, by_mail.then_some(now)).await?;
            if !by_mail {
                send_confirmation(&mut tx, ctx, user, &email).await?;
            }
            (
                user,
                name.to_string(),
                Some(open_session(&mut tx, info, user).await?),
            )
        }
        (Accepting::Newcomer { .. }, None) => return Err(AppError::Malformed),
    };
    {
        use entity::invitation::Column;
        let accepted = entity::Invitation::update_many()
            .col_expr(Column::AcceptedAt, Expr::value(now))
            .col_expr(Column::AcceptedBy, Expr::value(user))
            .filter(Column::Id.eq(invitation.id))
            .filter(Column::Generation.eq(invitation.generation))
            .filter(Column::ExpiresAt.gt(now))
            .filter(Column::AcceptedAt.is_null())
            .filter(Column::CancelledAt.is_null())
            .exec(&tx)
            .await?;
        if accepted.rows_affected != 1 {
            return Err(AppError::Conflict(
                "This invitation is no longer valid.".to_owned(),
            ));
        }
    }
    let membership = insert_membership(&mut tx, workspace.id, user, invitation.role).await?;
    if by_mail {
        mark_confirmed(&mut tx, user).await?;
    }
    let data = json!({
        "member": membership, "user": user, "name": name, "email": email, "role": invitation.role,
        "invitation": invitation.id,
    });
    events::record(
        &mut tx,
        Origin::person(user, &name),
        NewEvent::in_workspace(workspace.id, EventType::MemberJoined, data),
    )
    .await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Confirmed);
    Ok((format!("/w/{}", workspace.slug), cookie))
}

/// An invitation grants no more than its inviter can grant today.
async fn ensure_inviter_may_still_grant(
    tx: &Tx,
    invitation: &entity::invitation::Model,
) -> Result<(), AppError> {
    use entity::membership::Column;
    let role = match invitation.invited_by {
        Some(inviter) => entity::Membership::find()
            .filter(Column::WorkspaceId.eq(invitation.workspace_id))
            .filter(Column::UserId.eq(inviter))
            .one(tx)
            .await?
            .map(|membership| membership.role),
        None => None,
    };
    if role.is_some_and(|role| role.may_grant(invitation.role)) {
        return Ok(());
    }
    Err(AppError::Conflict(
        "The person who invited you no longer has access. Ask for a new invitation.".to_owned(),
    ))
}
