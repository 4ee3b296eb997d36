//! The list of invitations, and how many there are of each status.

use std::collections::HashMap;

use domain::members::{InvitationRow, PAGE, Status};
use domain::{AppError, InvitationId, Role, Timestamp, UserId};
use sea_orm::sea_query::{CaseStatement, Expr};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait,
};

use crate::auth::links::{self, LinkChannel};
use crate::auth::{Actor, Sensitive};
use crate::context::AppContext;
use crate::db::entity::invitation::Column;
use crate::db::rows::page_of;
use crate::db::{entity, rows};

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
    let rows: Vec<SentInvitation> =
        rows::up_to(PAGE + 1, query.into_query(), ctx.db().read()).await?;
    let (rows, more) = page_of(rows, PAGE);
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
