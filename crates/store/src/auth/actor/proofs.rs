//! The proofs of identity. Their fields are private, and they are made in only two places: from a session's row and
//! from a membership's row. A store function that takes a proof cannot be called without one.

use domain::session::WorkspaceMembership;
use domain::workspace::SLUG_HOLD;
use domain::{
    AppError, Email, MembershipId, Permission, Role, SessionId, Slug, Timestamp, UserId,
    WorkspaceId,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait,
};

use super::lifetimes::FRESH;
use super::queries::{session_of, subscription_of_membership};
use crate::auth::presented::Presented;
use crate::context::AppContext;
use crate::db::entity;
use crate::events::Origin;

/// Someone who is signed in.
#[derive(Clone, Debug)]
pub struct SignedInUser {
    row: PersonRow,
    /// The installation's rules for confirming email addresses.
    site: ConfirmationRules,
    presented: Presented,
}

/// The settings of the installation that decide what a person can do.
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
    /// The user whose session token this request carries, if the session has not ended.
    pub(in crate::auth) async fn from_presented(
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

    /// Whether they confirmed their email address. Code that depends on it calls [`SignedInUser::require_confirmed`].
    pub fn is_confirmed(&self) -> bool {
        self.row.email_confirmed_at.is_some()
    }

    /// Whether they can do what requires a confirmed email address.
    pub fn counts_as_confirmed(&self) -> bool {
        self.site.counts
    }

    /// Whether to ask them to confirm their email address: it is not confirmed, and this server can send a link.
    pub fn is_asked_to_confirm(&self) -> bool {
        self.site.can_be_asked
    }

    /// Refuses people who may not own the email address that they signed up with. Everything that sends email to others
    /// or makes the installation work for an account calls this first.
    pub fn require_confirmed(&self) -> Result<(), AppError> {
        if self.counts_as_confirmed() {
            Ok(())
        } else {
            Err(AppError::Unconfirmed)
        }
    }

    /// The token that this request carried, and its replacement, if any.
    pub(in crate::auth) fn presented(&self) -> &Presented {
        &self.presented
    }

    pub fn session(&self) -> SessionId {
        self.row.session
    }

    pub fn last_seen_at(&self) -> Timestamp {
        self.row.last_seen_at
    }

    /// The time until which the sign-in is fresh: the password was given recently, or just now in this request.
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

/// A signed-in user with their membership in every workspace, from one query.
#[derive(Clone, Debug)]
pub struct SessionContext {
    person: SignedInUser,
    /// The most recently used comes first.
    memberships: Vec<MembershipRow>,
}

/// The prefix of a membership's columns, beside those of its user.
const HERE: &str = "here_";

impl SessionContext {
    /// The user whose session token this request carries, if the session has not ended.
    pub(in crate::auth) async fn from_presented(
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

    /// Their membership in the workspace that `reference` names: its id (`ws_…`) or its current slug.
    pub(in crate::auth) fn at(&self, reference: &str) -> Option<Actor> {
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

impl Actor {
    /// This person's membership in the workspace that `reference` names: its id (`ws_…`), its slug, or a slug that it
    /// gave up recently. Workspaces of other people are not found.
    pub(in crate::auth) async fn find(
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

    /// Whether only billing can be changed here: the trial is over, or a payment is missing.
    pub fn is_frozen(&self) -> bool {
        let freezes_at = self.row.freezes_at;
        freezes_at.is_some_and(|at| at <= Timestamp::now())
    }

    /// The first line of every store function. A frozen workspace refuses changes.
    pub fn require(&self, permission: Permission) -> Result<(), AppError> {
        self.require_read(permission)?;
        if permission.is_lost_when_frozen() && self.is_frozen() {
            return Err(AppError::Frozen);
        }
        Ok(())
    }

    /// The first line of a store function for reads that require a permission.
    pub fn require_read(&self, permission: Permission) -> Result<(), AppError> {
        if self.may(permission) {
            Ok(())
        } else {
            Err(AppError::Forbidden { permission })
        }
    }
}

impl From<&SignedInUser> for Origin {
    fn from(person: &SignedInUser) -> Self {
        Self::person(person.id(), person.name())
    }
}

impl From<&Actor> for Origin {
    fn from(actor: &Actor) -> Self {
        actor.person().into()
    }
}
