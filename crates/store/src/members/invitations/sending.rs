//! Sends an invitation, or sends it again with a new link.

use domain::catalog::EventType;
use domain::{AppError, Role, Timestamp};
use sea_orm::{ActiveModelTrait, Set};

use super::change::record_event;
use crate::auth::Actor;
use crate::auth::links::{self, LinkChannel};
use crate::billing::seats;
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::email::{self, Recipient, templates};

/// Emails an invitation. Only people with a confirmed email address can send one.
pub(super) async fn send(
    tx: &mut Tx,
    ctx: &AppContext,
    actor: &Actor,
    invitation: &entity::invitation::Model,
) -> Result<(), AppError> {
    actor.person().require_confirmed()?;
    let message = templates::invitation(&templates::InvitationEmail {
        inviter: actor.person().name(),
        workspace: actor.workspace_name(),
        role: invitation.role,
        link: &links::invitation_url(
            ctx,
            invitation.id,
            invitation.generation,
            LinkChannel::Email,
        ),
        days: ctx.catalog().invitation_days.into(),
    });
    email::enqueue(
        tx,
        ctx,
        Recipient {
            email: invitation.email.clone(),
            user: None,
        },
        message,
        None,
    )
    .await?;
    Ok(())
}

/// Extends an invitation and replaces its link. The person who resends it becomes the inviter.
pub(super) async fn renew(
    tx: &mut Tx,
    ctx: &AppContext,
    actor: &Actor,
    invitation: entity::invitation::Model,
    role: Option<Role>,
) -> Result<(), AppError> {
    let now = Timestamp::now();
    if invitation.expires_at <= now {
        seats::require_one(tx, ctx.catalog(), actor.workspace()).await?;
    }
    let mut renewed: entity::invitation::ActiveModel = invitation.clone().into();
    renewed.role = Set(role.unwrap_or(invitation.role));
    renewed.invited_by = Set(Some(actor.person().id()));
    renewed.generation = Set(invitation.generation + 1);
    renewed.sent_at = Set(now);
    renewed.expires_at = Set(now.after(ctx.catalog().invitation_life()));
    let renewed = renewed.update(tx).await?;
    send(tx, ctx, actor, &renewed).await?;
    record_event(tx, actor, &renewed, EventType::InvitationResent).await?;
    Ok(())
}
