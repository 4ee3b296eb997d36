//! Invitations in every status.

use std::time::Duration;

use domain::{AppError, Email, InvitationId, Role, Timestamp, UserId, WorkspaceId, days, hours};
use sea_orm::{ActiveModelTrait, Set};

use crate::db::{Tx, entity};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SeedInvitation {
    Pending,
    Expired,
    Accepted,
    Cancelled,
}
use SeedInvitation::{Accepted, Cancelled, Expired, Pending};

pub(super) const INVITATIONS: [(&str, Role, SeedInvitation); 8] = [
    ("ben@acme.example", Role::Member, Pending),
    ("dora@partner.example", Role::Client, Pending),
    ("emil@acme.example", Role::Admin, Pending),
    ("fay@acme.example", Role::Member, Expired),
    ("gus@partner.example", Role::Client, Expired),
    ("mia@acme.example", Role::Member, Accepted),
    ("cleo@acme.example", Role::Client, Accepted),
    ("ivy@acme.example", Role::Member, Cancelled),
];

pub(super) async fn invitation(
    tx: &mut Tx,
    workspace: WorkspaceId,
    inviter: UserId,
    (email, role, fate): (&str, Role, SeedInvitation),
    index: u64,
    life: Duration,
) -> Result<(), AppError> {
    let now = Timestamp::now();
    let age = match fate {
        Pending => hours(5 + 20 * index),
        Cancelled => days(2),
        Expired => days(9 + 3 * index),
        Accepted => days(10 + 5 * index),
    };
    let sent = now.before(age);
    entity::invitation::ActiveModel {
        id: Set(InvitationId::at(sent)),
        workspace_id: Set(workspace),
        email: Set(Email::parse(email).map_err(|_| AppError::Malformed)?),
        role: Set(role),
        invited_by: Set(Some(inviter)),
        generation: Set(1),
        created_at: Set(sent),
        sent_at: Set(sent),
        expires_at: Set(sent.after(life)),
        accepted_at: Set((fate == Accepted).then(|| sent.after(hours(7)))),
        accepted_by: Set(None),
        cancelled_at: Set((fate == Cancelled).then_some(now)),
    }
    .insert(tx)
    .await?;
    Ok(())
}
