//! Invitations: created, resent, cancelled. The link is the invitation; the email only delivers it.

use std::collections::HashMap;

use domain::catalog::EventType;
use domain::form::{FormSuccess, ItemResult};
use domain::members::{InvitationRow, MAX_AT_ONCE, PAGE, Status, UNDO};
use domain::{AppError, Email, EventId, InvitationId, Permission, Role, Timestamp, UserId};
use sea_orm::sea_query::{CaseStatement, Expr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Set,
};
use serde_json::json;

use crate::activity;
use crate::auth::links::{self, LinkChannel};
use crate::auth::{Actor, Permit, Sensitive, can, sessions};
use crate::billing::seats;
use crate::context::AppContext;
use crate::db::entity::invitation::Column;
use crate::db::{Tx, entity, is_unique_violation, rows};
use crate::email::{self, Recipient, templates};
use crate::events::{self, NewEvent};

fn of_status(actor: &Actor, status: Status) -> Condition {
    let now = Timestamp::now();
    let open = Condition::all()
        .add(Column::AcceptedAt.is_null())
        .add(Column::CancelledAt.is_null());
    let of = match status {
        Status::Pending => open.add(Column::ExpiresAt.gt(now)),
        Status::Expired => open.add(Column::ExpiresAt.lte(now)),
        Status::Accepted => Condition::all().add(Column::AcceptedAt.is_not_null()),
    };
    of.add(Column::WorkspaceId.eq(actor.workspace()))
}

/// How many invitations a workspace has.
#[derive(Debug, Default)]
pub struct InvitationCounts {
    /// Of each status, in the order of [`Status::ALL`].
    pub counts: [u64; 3],
    /// Those that wait, by who sent them: they die with the inviter's right to invite.
    open: HashMap<UserId, u64>,
}

impl InvitationCounts {
    pub fn open_of(&self, inviter: UserId) -> u64 {
        self.open.get(&inviter).copied().unwrap_or_default()
    }
}

pub async fn tally(ctx: &AppContext, actor: &Actor) -> Result<InvitationCounts, AppError> {
    // Of which status a row is, as its place in `Status::ALL`.
    let mut status = CaseStatement::new();
    for (place, each) in (0..).zip(Status::ALL) {
        status = status.case(of_status(actor, each), Expr::val::<i32>(place));
    }
    let groups: Vec<(Option<UserId>, Option<i32>, i64)> = entity::Invitation::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .select_only()
        .column(Column::InvitedBy)
        .expr_as(status, "status")
        .column_as(Column::Id.count(), "invitations")
        .group_by(Column::InvitedBy)
        .group_by(Expr::col("status"))
        .into_tuple()
        .all(ctx.db().read())
        .await?;
    let mut tally = InvitationCounts::default();
    for (inviter, status, invitations) in groups {
        // None: cancelled.
        let Some(place) = status.and_then(|place| usize::try_from(place).ok()) else {
            continue;
        };
        tally.counts[place] += invitations.unsigned_abs();
        if let (Status::Pending, Some(inviter)) = (Status::ALL[place], inviter) {
            *tally.open.entry(inviter).or_default() += invitations.unsigned_abs();
        }
    }
    Ok(tally)
}

/// An invitation with the name of who sent it.
#[derive(FromQueryResult)]
struct SentInvitation {
    #[sea_orm(nested)]
    invitation: entity::invitation::Model,
    inviter: Option<String>,
}

/// A page of the invitations of one status, the latest first, beginning before `before`; and where the next begins.
pub async fn list(
    ctx: &AppContext,
    actor: &Actor,
    status: Status,
    before: Option<InvitationId>,
) -> Result<(Vec<InvitationRow>, Option<InvitationId>), AppError> {
    let mut query = entity::Invitation::find()
        .join(
            JoinType::LeftJoin,
            entity::invitation::Entity::belongs_to(entity::User)
                .from(Column::InvitedBy)
                .to(entity::user::Column::Id)
                .into(),
        )
        .column_as(entity::user::Column::Name, "inviter")
        .filter(of_status(actor, status))
        .order_by_desc(Column::Id);
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    let fresh = actor.person().is_fresh();
    let may_copy = |role: Role| fresh || !Sensitive::is_grant(None, role);
    let mut rows: Vec<SentInvitation> =
        rows::up_to(PAGE + 1, query.into_query(), ctx.db().read()).await?;
    let more = rows.len() as u64 > PAGE;
    rows.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| row.invitation.id);
    let rows = rows
        .into_iter()
        .map(
            |SentInvitation {
                 invitation: row,
                 inviter,
             }| InvitationRow {
                id: row.id,
                email: row.email.to_string(),
                role: row.role,
                invited_by: inviter.unwrap_or_else(|| "a former member".to_owned()),
                sent_at: row.sent_at,
                at: row.accepted_at.unwrap_or(row.expires_at),
                // Who has the link of an invitation can sign up with it: as good as granting its role.
                locked: status != Status::Accepted && !may_copy(row.role),
                link: (status != Status::Accepted && may_copy(row.role)).then(|| {
                    links::invitation_url(ctx, row.id, row.generation, LinkChannel::Copied)
                }),
            },
        )
        .collect();
    Ok((rows, next))
}

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

/// Whoever may accept an invitation to manage the workspace will manage it.
fn require_fresh_for(actor: &Actor, role: Role) -> Result<(), AppError> {
    if Sensitive::is_grant(None, role) {
        actor.person().require_fresh(Sensitive::GrantRole)?;
    }
    Ok(())
}

/// Begins a change of an invitation: one at a time with acceptances, and by someone who may still make it.
async fn begin(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
) -> Result<(Tx, Actor), AppError> {
    let tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = sessions::reload_actor(&tx, actor).await?;
    actor.require(Permission::InviteMembers)?;
    Ok((tx, actor))
}

async fn invite_one(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    email: &Email,
    role: Role,
) -> Result<String, AppError> {
    ctx.limits()
        .invite(actor.person().id(), actor.workspace(), email)?;
    let (mut tx, actor) = begin(ctx, actor).await?;
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

/// Emails an invitation. Only people with a confirmed email address can send one.
async fn send(
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

async fn record_event(
    tx: &mut Tx,
    actor: &Actor,
    invitation: &entity::invitation::Model,
    event_type: EventType,
) -> Result<EventId, AppError> {
    let data =
        json!({"invitation": invitation.id, "email": invitation.email, "role": invitation.role});
    events::record(
        tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), event_type, data),
    )
    .await
}

/// Extends an invitation and replaces its link. The person who resends it becomes the inviter.
async fn renew(
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

/// An invitation of this workspace that was neither accepted nor cancelled.
async fn find_open(
    tx: &Tx,
    actor: &Actor,
    id: InvitationId,
) -> Result<entity::invitation::Model, AppError> {
    let invitation = entity::Invitation::find_by_id(id)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    if invitation.accepted_at.is_some() {
        return Err(AppError::Conflict(
            "This invitation has already been accepted.".to_owned(),
        ));
    }
    if invitation.cancelled_at.is_some() {
        return Err(AppError::Conflict(
            "This invitation has already been cancelled.".to_owned(),
        ));
    }
    Ok(invitation)
}

pub async fn resend(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    id: InvitationId,
) -> Result<FormSuccess, AppError> {
    actor.person().require_confirmed()?;
    let (mut tx, actor) = begin(ctx, actor).await?;
    let actor = &actor;
    let invitation = find_open(&tx, actor, id).await?;
    require_fresh_for(actor, invitation.role)?;
    ctx.limits()
        .invite(actor.person().id(), actor.workspace(), &invitation.email)?;
    if !actor.role().may_grant(invitation.role) {
        return Err(AppError::Forbidden {
            permission: Permission::OwnWorkspace,
        });
    }
    let email = invitation.email.clone();
    renew(&mut tx, ctx, actor, invitation, None).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Invitation resent to {email}. The old link no longer works."
    )))
}

pub async fn cancel(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    id: InvitationId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin(ctx, actor).await?;
    let actor = &actor;
    let invitation = find_open(&tx, actor, id).await?;
    entity::Invitation::update_many()
        .col_expr(Column::CancelledAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(id))
        .exec(&tx)
        .await?;
    let event = record_event(&mut tx, actor, &invitation, EventType::InvitationCancelled).await?;
    tx.commit().await?;
    Ok(
        FormSuccess::with_message(format!("Invitation to {} cancelled", invitation.email))
            .with_undo("/fn/undo_cancel_invitation", actor.workspace(), event),
    )
}

pub async fn undo_cancel(
    ctx: &AppContext,
    actor: &Permit<can::InviteMembers>,
    event: EventId,
) -> Result<FormSuccess, AppError> {
    let (mut tx, actor) = begin(ctx, actor).await?;
    let actor = &actor;
    let undone =
        activity::undoable(&tx, actor, event, EventType::InvitationCancelled, UNDO).await?;
    seats::require_one(&tx, ctx.catalog(), actor.workspace()).await?;
    let id: InvitationId = undone.data["invitation"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or(AppError::NotFound)?;
    let restored = entity::Invitation::update_many()
        .col_expr(Column::CancelledAt, Expr::value(None::<Timestamp>))
        .filter(Column::Id.eq(id))
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::CancelledAt.is_not_null())
        .exec(&tx)
        .await
        .map_err(|error| {
            if is_unique_violation(&error) {
                AppError::Conflict("This person has been invited again since.".to_owned())
            } else {
                error.into()
            }
        })?;
    if restored.rows_affected == 0 {
        return Err(AppError::Conflict("Already undone.".to_owned()));
    }
    let invitation = entity::Invitation::find_by_id(id)
        .one(&tx)
        .await?
        .ok_or(AppError::NotFound)?;
    require_fresh_for(actor, invitation.role)?;
    record_event(&mut tx, actor, &invitation, EventType::MemberInvited).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Invitation to {} restored",
        invitation.email
    )))
}
