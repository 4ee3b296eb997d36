//! The proofs. Their fields are private and they are made in two places only: from a session's row, and from a
//! membership's row. A store function that takes one cannot be called without.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, RelationDef, Select,
};

use super::model::WorkspaceMembership;
use super::reauth::Presented;

use crate::context::AppContext;
use crate::db::entity;
use crate::domain::{
    AppError, Email, MembershipId, Permission, Role, SessionId, Slug, Timestamp, UserId,
    WorkspaceId, days, minutes,
};
use crate::settings::workspace::model::SLUG_HOLD;

/// A session unused for this long has ended.
pub const SESSION_IDLE: std::time::Duration = days(14);
/// A session ends after this long, used or not.
pub const SESSION_LIFE: std::time::Duration = days(90);
/// A sign-in this recent is good enough for a sensitive change; otherwise the current password is asked for.
pub const FRESH: std::time::Duration = minutes(15);

/// Someone who is signed in.
#[derive(Clone, Debug)]
pub struct SignedInUser {
    row: PersonRow,
    /// What confirming an email address means here.
    site: ConfirmationRules,
    presented: Presented,
}

/// Of an installation, as far as it decides about a person.
#[derive(Clone, Copy, Debug)]
struct ConfirmationRules {
    counts: bool,
    can_be_asked: bool,
}

#[derive(Clone, Debug, FromQueryResult)]
struct PersonRow {
    id: UserId,
    name: String,
    email: Email,
    email_confirmed_at: Option<Timestamp>,
    session: SessionId,
    authenticated_at: Timestamp,
    last_seen_at: Timestamp,
}

impl SignedInUser {
    /// Whose session the token of this request is, if it is one and has not ended.
    pub(super) async fn from_presented(
        ctx: &AppContext,
        presented: &Presented,
    ) -> Result<Option<Self>, AppError> {
        let row = session_of(presented.token_hash()).into_model::<PersonRow>();
        let row = row.one(ctx.db().read()).await?;
        Ok(row.map(|row| Self::new(ctx, presented, row)))
    }

    fn new(ctx: &AppContext, presented: &Presented, row: PersonRow) -> Self {
        let site = ctx.site();
        let rules = ConfirmationRules {
            counts: site.counts_as_confirmed(row.email_confirmed_at),
            can_be_asked: site.email_arrives() && row.email_confirmed_at.is_none(),
        };
        Self {
            row,
            site: rules,
            presented: presented.clone(),
        }
    }

    pub fn id(&self) -> UserId {
        self.row.id
    }

    pub fn name(&self) -> &str {
        &self.row.name
    }

    pub fn email(&self) -> &Email {
        &self.row.email
    }

    /// Whether they followed the link to their email address. What depends on it asks [`Person::require_confirmed`].
    pub fn is_confirmed(&self) -> bool {
        self.row.email_confirmed_at.is_some()
    }

    /// Whether they may do what takes a confirmed email address.
    pub fn counts_as_confirmed(&self) -> bool {
        self.site.counts
    }

    /// Whether to ask them to confirm it: it is not confirmed, and a link would reach them.
    pub fn is_asked_to_confirm(&self) -> bool {
        self.site.can_be_asked
    }

    /// Refuses whoever may not own the address that they signed up with. Whatever sends email to others or makes the
    /// installation work for an account comes after it.
    pub fn require_confirmed(&self) -> Result<(), AppError> {
        if self.counts_as_confirmed() {
            Ok(())
        } else {
            Err(AppError::Unconfirmed)
        }
    }

    /// The token that this request came with, and what became of it.
    pub(super) fn presented(&self) -> &Presented {
        &self.presented
    }

    pub fn session(&self) -> SessionId {
        self.row.session
    }

    pub fn last_seen_at(&self) -> Timestamp {
        self.row.last_seen_at
    }

    /// Until when the sign-in is fresh: the password was given lately, or just now in this request.
    pub fn fresh_until(&self) -> Timestamp {
        let given_now = self.presented.outcome() == Some(Ok(()));
        let given_at = if given_now {
            Timestamp::now()
        } else {
            self.row.authenticated_at
        };
        given_at.after(FRESH)
    }

    /// Whether the password was given in the last 15 minutes.
    pub fn is_fresh(&self) -> bool {
        Timestamp::now() < self.fresh_until()
    }
}

/// The session that a cookie opens, by the hash of what it holds, if it has not ended, with its person.
fn session_of(token_hash: Vec<u8>) -> Select<entity::Session> {
    use entity::{session, user};
    let now = Timestamp::now();
    entity::Session::find()
        .join(
            JoinType::InnerJoin,
            session::Entity::belongs_to(user::Entity)
                .from(session::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(session::Column::TokenHash.eq(token_hash))
        .filter(session::Column::ExpiresAt.gt(now))
        .filter(session::Column::LastSeenAt.gt(now.before(SESSION_IDLE)))
        .select_only()
        .column_as(user::Column::Id, "id")
        .column_as(user::Column::Name, "name")
        .column_as(user::Column::Email, "email")
        .column_as(user::Column::EmailConfirmedAt, "email_confirmed_at")
        .column_as(session::Column::Id, "session")
        .column_as(session::Column::AuthenticatedAt, "authenticated_at")
        .column_as(session::Column::LastSeenAt, "last_seen_at")
}

/// Someone who is signed in, with their place in every workspace, as one question finds them.
#[derive(Clone, Debug)]
pub struct SessionContext {
    person: SignedInUser,
    /// The one used last first.
    memberships: Vec<MembershipRow>,
}

/// What the columns of a membership begin with beside those of its person.
const HERE: &str = "here_";

impl SessionContext {
    /// Whose session the token of this request is, if it is one and has not ended, and where they are.
    pub(super) async fn from_presented(
        ctx: &AppContext,
        presented: &Presented,
    ) -> Result<Option<Self>, AppError> {
        use entity::{membership, session, subscription, workspace};
        let query = session_of(presented.token_hash())
            .join(
                JoinType::LeftJoin,
                session::Entity::belongs_to(membership::Entity)
                    .from(session::Column::UserId)
                    .to(membership::Column::UserId)
                    .into(),
            )
            .join(
                JoinType::LeftJoin,
                membership::Entity::belongs_to(workspace::Entity)
                    .from(membership::Column::WorkspaceId)
                    .to(workspace::Column::Id)
                    .into(),
            )
            .join(JoinType::LeftJoin, subscription_of_membership())
            .order_by_desc(Expr::cust("COALESCE(last_active_at, joined_at)"))
            .column_as(subscription::Column::FreezesAt, "here_freezes_at")
            .column_as(membership::Column::Id, "here_membership")
            .column_as(membership::Column::Role, "here_role")
            .column_as(workspace::Column::Id, "here_workspace")
            .column_as(workspace::Column::Name, "here_name")
            .column_as(workspace::Column::Slug, "here_slug");
        let rows = ctx.db().read().query_all(&query.into_query()).await?;
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let row = PersonRow::from_query_result(first, "")?;
        let memberships = rows
            .iter()
            .filter_map(|row| Option::<MembershipRow>::from_query_result(row, HERE).transpose())
            .collect::<Result<_, _>>()?;
        Ok(Some(Self {
            person: SignedInUser::new(ctx, presented, row),
            memberships,
        }))
    }

    pub fn person(&self) -> &SignedInUser {
        &self.person
    }

    pub fn places(&self) -> impl Iterator<Item = WorkspaceMembership> {
        self.memberships.iter().map(|row| WorkspaceMembership {
            id: row.workspace,
            name: row.name.clone(),
            slug: row.slug.clone(),
            role: row.role,
        })
    }

    /// Their place in the workspace that `reference` names: its id (`ws_…`) or its present address.
    pub(super) fn at(&self, reference: &str) -> Option<Actor> {
        let id = reference.parse::<WorkspaceId>().ok();
        self.memberships
            .iter()
            .find(|row| id == Some(row.workspace) || row.slug.as_str() == reference)
            .map(|row| Actor {
                person: self.person.clone(),
                row: row.clone(),
            })
    }
}

/// Someone who is signed in and a member of a workspace.
#[derive(Clone, Debug)]
pub struct Actor {
    person: SignedInUser,
    row: MembershipRow,
}

#[derive(Clone, Debug, FromQueryResult)]
struct MembershipRow {
    membership: MembershipId,
    role: Role,
    workspace: WorkspaceId,
    name: String,
    slug: Slug,
    freezes_at: Option<Timestamp>,
}

/// From a membership to its workspace's subscription.
fn subscription_of_membership() -> RelationDef {
    use entity::{membership, subscription};
    membership::Entity::belongs_to(subscription::Entity)
        .from(membership::Column::WorkspaceId)
        .to(subscription::Column::WorkspaceId)
        .into()
}

impl Actor {
    /// This person's place in the workspace that `reference` names: its id (`ws_…`), or an address that it has or let
    /// go not too long ago. A workspace of others does not exist for them.
    pub(super) async fn find(
        db: &impl ConnectionTrait,
        person: &SignedInUser,
        reference: &str,
    ) -> Result<Self, AppError> {
        use entity::{membership, slug_claim, subscription, workspace};
        let by_reference = if let Ok(id) = reference.parse::<WorkspaceId>() {
            workspace::Column::Id.eq(id)
        } else {
            let slug = Slug::parse(reference)
                .ok()
                .filter(|slug| slug.as_str() == reference)
                .ok_or(AppError::NotFound)?;
            workspace::Column::Id.in_subquery(QueryTrait::into_query(
                entity::SlugClaim::find()
                    .select_only()
                    .column(slug_claim::Column::WorkspaceId)
                    .filter(slug_claim::Column::Slug.eq(slug))
                    .filter(
                        Condition::any()
                            .add(slug_claim::Column::ReleasedAt.is_null())
                            .add(
                                slug_claim::Column::ReleasedAt
                                    .gt(Timestamp::now().before(SLUG_HOLD)),
                            ),
                    ),
            ))
        };
        let row = entity::Membership::find()
            .join(
                JoinType::InnerJoin,
                membership::Entity::belongs_to(workspace::Entity)
                    .from(membership::Column::WorkspaceId)
                    .to(workspace::Column::Id)
                    .into(),
            )
            .join(JoinType::LeftJoin, subscription_of_membership())
            .filter(membership::Column::UserId.eq(person.id()))
            .filter(by_reference)
            .select_only()
            .column(subscription::Column::FreezesAt)
            .column_as(membership::Column::Id, "membership")
            .column_as(membership::Column::Role, "role")
            .column_as(workspace::Column::Id, "workspace")
            .column_as(workspace::Column::Name, "name")
            .column_as(workspace::Column::Slug, "slug")
            .into_model::<MembershipRow>()
            .one(db)
            .await?
            .ok_or(AppError::NotFound)?;
        Ok(Self {
            person: person.clone(),
            row,
        })
    }

    pub fn person(&self) -> &SignedInUser {
        &self.person
    }

    pub fn workspace(&self) -> WorkspaceId {
        self.row.workspace
    }

    pub fn workspace_name(&self) -> &str {
        &self.row.name
    }

    pub fn slug(&self) -> &Slug {
        &self.row.slug
    }

    pub fn membership(&self) -> MembershipId {
        self.row.membership
    }

    pub fn role(&self) -> Role {
        self.row.role
    }

    pub fn may(&self, permission: Permission) -> bool {
        self.row.role.may(permission)
    }

    /// Whether nothing but billing can be changed here: the trial is over, or what was to be paid was not.
    pub fn is_frozen(&self) -> bool {
        let freezes_at = self.row.freezes_at;
        freezes_at.is_some_and(|at| at <= Timestamp::now())
    }

    /// The first line of every store function. Where the workspace is frozen, what changes it is refused.
    pub fn require(&self, permission: Permission) -> Result<(), AppError> {
        self.require_read(permission)?;
        if permission.is_lost_when_frozen() && self.is_frozen() {
            return Err(AppError::Frozen);
        }
        Ok(())
    }

    /// The first line of a store function that only looks, at what may be seen by those who may change it.
    pub fn require_read(&self, permission: Permission) -> Result<(), AppError> {
        if self.may(permission) {
            Ok(())
        } else {
            Err(AppError::Forbidden { permission })
        }
    }
}
