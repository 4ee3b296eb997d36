//! Invites people.

use domain::catalog::EventType;
use domain::form::{FormSuccess, ItemResult};
use domain::members::MAX_AT_ONCE;
use domain::{AppError, Email, InvitationId, Permission, Role, Timestamp};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, Set};

use super::change::{record_event, require_fresh_for};
use super::sending::{renew, send};
use crate::auth::{Actor, Permit, begin_change, can};
use crate::billing::seats;
use crate::context::AppContext;
use crate::db::entity::invitation::Column;
use crate::db::{Tx, entity};

/// Why nobody was invited: one reason if it is the same for all, otherwise one for each address.
fn refusals(lines: &[ItemResult]) -> String {
    let first = &lines[0].message;
    if lines.iter().all(|line| line.message == *first) {
        return first.clone();
    }
    let each: Vec<String> = lines
        .iter()
        .map(|line| format!("{}: {}", line.subject, line.message))
        .collect();
    each.join(". ")
}

/// Invites everyone in `text`, each with their own result: one bad address does not stop the others.
pub async fn invite(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    text: &str,
    role: Role,
) -> Result<FormSuccess, AppError> {
    actor.person().require_confirmed()?;
    if !actor.role().may_grant(role) {
        return Err(AppError::field(
            "role",
            "You can't invite people with this role",
        ));
    }
    require_fresh_for(actor, role)?;
    let addresses = Email::parse_list(text, MAX_AT_ONCE);
    if addresses.len() > MAX_AT_ONCE {
        return Err(AppError::field(
            "email",
            format!("You can invite up to {MAX_AT_ONCE} people at a time"),
        ));
    }
    let mut results = Vec::new();
    for address in addresses {
        results.push(match address {
            Err((subject, error)) => ItemResult {
                subject,
                message: error.to_string(),
                good: false,
            },
            Ok(email) => match invite_one(ctx, actor, &email, role).await {
                Ok(message) => ItemResult {
                    subject: email.to_string(),
                    message,
                    good: true,
                },
                Err(AppError::Internal { incident }) => {
                    return Err(AppError::Internal { incident });
                }
                Err(error) => ItemResult {
                    subject: email.to_string(),
                    message: error.to_string(),
                    good: false,
                },
            },
        });
    }
    match results.as_slice() {
        [] => Err(AppError::field("email", "Enter an email address")),
        [only] if only.good => Ok(FormSuccess::with_message(format!(
            "{} to {}",
            only.message, only.subject
        ))),
        [only] => Err(AppError::field("email", &only.message)),
        // Nothing was done, so the typed text has to stay.
        several if several.iter().all(|line| !line.good) => {
            Err(AppError::field("email", refusals(several)))
        }
        several => {
            let good = several.iter().filter(|line| line.good).count();
            let message = format!("{good} of {} invitations sent", several.len());
            Ok(FormSuccess {
                message,
                results,
                ..FormSuccess::default()
            })
        }
    }
}

async fn invite_one(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    email: &Email,
    role: Role,
) -> Result<String, AppError> {
    ctx.limits()
        .invite(actor.person().id(), actor.workspace(), email)?;
    let (mut tx, actor) = begin_change(ctx, actor).await?;
    let actor = &actor;
    if !actor.role().may_grant(role) {
        return Err(AppError::Forbidden {
            permission: Permission::OwnWorkspace,
        });
    }
    if is_member(&tx, actor, email).await? {
        return Err(AppError::Conflict("Already a member".to_owned()));
    }
    let open = entity::Invitation::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::Email.eq(email.clone()))
        .filter(Column::AcceptedAt.is_null())
        .filter(Column::CancelledAt.is_null())
        .one(&tx)
        .await?;
    let now = Timestamp::now();
    let message = if let Some(open) = open {
        renew(&mut tx, ctx, actor, open, Some(role)).await?;
        "Invitation resent"
    } else {
        seats::require_one(&tx, ctx.catalog(), actor.workspace()).await?;
        let invitation = entity::invitation::ActiveModel {
            id: Set(InvitationId::new()),
            workspace_id: Set(actor.workspace()),
            email: Set(email.clone()),
            role: Set(role),
            invited_by: Set(Some(actor.person().id())),
            generation: Set(1),
            created_at: Set(now),
            sent_at: Set(now),
            expires_at: Set(now.after(ctx.catalog().invitation_life())),
            accepted_at: Set(None),
            accepted_by: Set(None),
            cancelled_at: Set(None),
        }
        .insert(&tx)
        .await?;
        send(&mut tx, ctx, actor, &invitation).await?;
        record_event(&mut tx, actor, &invitation, EventType::MemberInvited).await?;
        "Invitation sent"
    };
    tx.commit().await?;
    Ok(message.to_owned())
}

async fn is_member(tx: &Tx, actor: &Actor, email: &Email) -> Result<bool, AppError> {
    let Some(user) = entity::User::find()
        .filter(entity::user::Column::Email.eq(email.clone()))
        .one(tx)
        .await?
    else {
        return Ok(false);
    };
    let memberships = entity::Membership::find()
        .filter(entity::membership::Column::WorkspaceId.eq(actor.workspace()))
        .filter(entity::membership::Column::UserId.eq(user.id))
        .count(tx)
        .await?;
    Ok(memberships > 0)
}
