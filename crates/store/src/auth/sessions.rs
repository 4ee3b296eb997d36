//! Sign-up, sign-in and sign-out; password reset; email confirmation; accepting invitations; creating a workspace.

use domain::catalog::{Catalog, EventType};
use domain::session::{
    InvitationState, InvitationView, SignUp, WorkspaceMembership, browser_label,
};
use domain::{
    AppError, Email, FieldErrors, MembershipId, Name, Role, Secret, SessionId, Slug, Timestamp,
    Topic, UserId, WorkspaceId, fold,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Set,
};
use serde_json::json;

use super::actor::{Actor, SESSION_LIFE, SignedInUser};
use super::links::{self, InvitationLink, LinkPurpose};
use super::networks;
use super::request::RequestInfo;
use crate::auth::key_changes::KeyChange;
use crate::billing::{seats, subscriptions};
use crate::context::AppContext;
use crate::credits;
use crate::db::{Tx, entity, is_unique_violation};
use crate::email::{self, Recipient, templates};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;
use crate::master_key::{Token, random_mark};

pub use super::reauth::{confirm_identity, lock_person, lock_user, renew, rotate};

/// Maximum length of a stored User-Agent, in bytes.
const MAX_USER_AGENT_LEN: usize = 300;

/// A session that was just created: its cookie's value, and the page its user opens first.
pub struct NewSession {
    pub cookie: Secret,
    pub path: String,
}

/// Creates an account with a workspace of its own.
pub async fn sign_up(
    ctx: &AppContext,
    info: &RequestInfo,
    form: SignUp,
) -> Result<NewSession, AppError> {
    ctx.limits().sign_up(info.address)?;
    check_password_strength(
        ctx,
        "password",
        &form.password,
        form.name.as_str(),
        &form.email,
    )
    .await?;
    let hash = ctx.passwords().hash(&form.password).await?;
    let mut tx = ctx.db().begin().await?;
    let user = insert_user(&mut tx, &form.name, &form.email, hash, None).await?;
    let slug = create_workspace(
        &mut tx,
        ctx.catalog(),
        user,
        &form.name,
        &form.workspace,
        None,
    )
    .await?;
    send_confirmation(&mut tx, ctx, user, &form.email).await?;
    let cookie = open_session(&mut tx, info, user).await?;
    tx.commit().await?;
    Ok(NewSession {
        cookie,
        path: format!("/w/{slug}"),
    })
}

/// Refuses a password that is too short, too long or easy to guess; `field` is where it was typed.
pub async fn check_password_strength(
    ctx: &AppContext,
    field: &str,
    password: &Secret,
    name: &str,
    email: &Email,
) -> Result<(), AppError> {
    ctx.passwords()
        .check_new(password, &[name, email.as_str()])
        .await
        .map_err(|error| AppError::field(field, error))
}

async fn insert_user(
    tx: &mut Tx,
    name: &Name,
    email: &Email,
    password_hash: String,
    confirmed_at: Option<Timestamp>,
) -> Result<UserId, AppError> {
    let now = Timestamp::now();
    let id = UserId::new();
    let inserted = entity::user::ActiveModel {
        id: Set(id),
        email: Set(email.clone()),
        name: Set(name.to_string()),
        folded_name: Set(fold(name.as_str())),
        password_hash: Set(password_hash),
        email_confirmed_at: Set(confirmed_at),
        created_at: Set(now),
        updated_at: Set(now),
    }
    .insert(tx)
    .await;
    let taken = || {
        AppError::field(
            "email",
            "An account with this email already exists. Sign in instead.",
        )
    };
    match inserted {
        Ok(_) if links::is_held(tx, email, None).await? => Err(taken()),
        Ok(_) => Ok(id),
        Err(error) if is_unique_violation(&error) => Err(taken()),
        Err(error) => Err(error.into()),
    }
}

/// Revokes everything else that could sign this user in or change their email address: all unused links and a pending
/// change of email address.
pub async fn end_links(tx: &mut Tx, user: UserId) -> Result<(), AppError> {
    links::revoke_all(tx, user).await?;
    end_waiting_change(tx, user).await?;
    Ok(())
}

/// Cancels the pending change of email address. `false`: there was none.
pub async fn end_waiting_change(tx: &mut Tx, user: UserId) -> Result<bool, AppError> {
    use entity::email_change::Column;
    let ended = entity::EmailChange::update_many()
        .col_expr(Column::EndedAt, Expr::value(Timestamp::now()))
        .filter(Column::UserId.eq(user))
        .filter(Column::ConfirmedAt.is_null())
        .filter(Column::EndedAt.is_null())
        .exec(tx)
        .await?;
    Ok(ended.rows_affected > 0)
}

/// How often a new workspace tries a numbered slug before a random one: others may be taking the same number at the
/// same moment.
const NUMBERED_TRIES: u32 = 3;
/// How many slugs it tries in all. Random ones do not collide twice.
const SLUG_TRIES: u32 = 6;

/// Creates a workspace and its first owner. Without a requested slug, it gets the first free one that its name
/// suggests.
pub async fn create_workspace(
    tx: &mut Tx,
    catalog: &Catalog,
    owner: UserId,
    owner_name: &Name,
    name: &Name,
    wish: Option<&Slug>,
) -> Result<Slug, AppError> {
    let (id, slug) = match wish {
        Some(slug) => (insert_workspace(tx, name, slug).await?, slug.clone()),
        None => insert_workspace_anywhere(tx, name).await?,
    };
    insert_membership(tx, id, owner, Role::Owner).await?;
    let origin = Origin::person(owner, owner_name.as_str());
    let data = json!({"name": name.as_str(), "slug": slug.as_str()});
    events::record(
        tx,
        origin.clone(),
        NewEvent::in_workspace(id, EventType::WorkspaceCreated, data),
    )
    .await?;
    subscriptions::begin_trial(tx, catalog, id).await?;
    credits::open_trial(tx, catalog, id, &origin).await?;
    tx.invalidate(Invalidation::user(owner, Topic::Workspace));
    Ok(slug)
}

/// Creates a workspace with a slug that only it holds from then on.
async fn insert_workspace(tx: &mut Tx, name: &Name, slug: &Slug) -> Result<WorkspaceId, AppError> {
    let now = Timestamp::now();
    let id = WorkspaceId::new();
    entity::workspace::ActiveModel {
        id: Set(id),
        name: Set(name.to_string()),
        slug: Set(slug.clone()),
        created_at: Set(now),
        updated_at: Set(now),
    }
    .insert(tx)
    .await
    .map_err(taken)?;
    claim_slug(tx, id, slug).await?;
    Ok(id)
}

/// Creates a workspace with a slug like its name. Someone may take the same slug between looking and inserting, so each
/// try can be rolled back on its own and another slug is tried.
async fn insert_workspace_anywhere(
    tx: &mut Tx,
    name: &Name,
) -> Result<(WorkspaceId, Slug), AppError> {
    let wish = Slug::suggest(name.as_str());
    for attempt in 1.. {
        let slug = if attempt <= NUMBERED_TRIES {
            free_slug(tx, &wish).await?
        } else {
            wish.marked(random_mark())
        };
        tx.execute_unprepared("SAVEPOINT founding").await?;
        match insert_workspace(tx, name, &slug).await {
            Ok(id) => {
                tx.execute_unprepared("RELEASE SAVEPOINT founding").await?;
                return Ok((id, slug));
            }
            Err(AppError::Invalid(_)) if attempt < SLUG_TRIES => {
                tx.execute_unprepared("ROLLBACK TO SAVEPOINT founding")
                    .await?;
            }
            Err(error) => return Err(error),
        }
    }
    unreachable!("the last try returns")
}

fn taken(error: sea_orm::DbErr) -> AppError {
    if is_unique_violation(&error) {
        AppError::field("slug", "That URL is taken. Choose another one.")
    } else {
        error.into()
    }
}

/// Gives a slug to a workspace: one that nobody holds, one that its holder gave up long enough ago, or one that this
/// workspace had before.
pub async fn claim_slug(tx: &mut Tx, workspace: WorkspaceId, slug: &Slug) -> Result<(), AppError> {
    use entity::slug_claim::Column;
    entity::SlugClaim::delete_many()
        .filter(Column::Slug.eq(slug.clone()))
        .filter(
            sea_orm::Condition::any()
                .add(Column::ReleasedAt.lt(Timestamp::now().before(domain::workspace::SLUG_HOLD)))
                .add(
                    sea_orm::Condition::all()
                        .add(Column::WorkspaceId.eq(workspace))
                        .add(Column::ReleasedAt.is_not_null()),
                ),
        )
        .exec(tx)
        .await?;
    entity::slug_claim::ActiveModel {
        slug: Set(slug.clone()),
        workspace_id: Set(Some(workspace)),
        released_at: Set(None),
    }
    .insert(tx)
    .await
    .map_err(taken)?;
    Ok(())
}

/// How many numbered slugs are checked for a free one.
const MAX_NUMBERED: u32 = 60;

/// `wish`, or `wish` with the lowest number that makes it free, or with a random suffix.
pub async fn free_slug(connection: &impl ConnectionTrait, wish: &Slug) -> Result<Slug, AppError> {
    let candidates: Vec<Slug> = std::iter::once(wish.clone())
        .chain((2..MAX_NUMBERED).map(|n| wish.numbered(n)))
        .collect();
    let held: Vec<Slug> = entity::SlugClaim::find()
        .filter(entity::slug_claim::Column::Slug.is_in(candidates.clone()))
        .all(connection)
        .await?
        .into_iter()
        .map(|claim| claim.slug)
        .collect();
    Ok(candidates
        .into_iter()
        .find(|candidate| !held.contains(candidate))
        .unwrap_or_else(|| wish.marked(random_mark())))
}

pub async fn insert_membership(
    tx: &mut Tx,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
) -> Result<MembershipId, AppError> {
    let id = MembershipId::new();
    entity::membership::ActiveModel {
        id: Set(id),
        workspace_id: Set(workspace),
        user_id: Set(user),
        role: Set(role),
        joined_at: Set(Timestamp::now()),
        last_active_at: Set(None),
    }
    .insert(tx)
    .await
    .map_err(|error| {
        if is_unique_violation(&error) {
            AppError::Conflict("This person is already a member of the workspace.".to_owned())
        } else {
            error.into()
        }
    })?;
    tx.invalidate(Invalidation::user(user, Topic::Workspace));
    Ok(id)
}

async fn open_session(tx: &mut Tx, info: &RequestInfo, user: UserId) -> Result<Secret, AppError> {
    let token = Token::generate();
    let now = Timestamp::now();
    let mut user_agent = info.user_agent.clone();
    user_agent.truncate(user_agent.floor_char_boundary(MAX_USER_AGENT_LEN));
    entity::session::ActiveModel {
        id: Set(SessionId::new()),
        token_hash: Set(token.hash()),
        user_id: Set(user),
        address: Set(info.address.to_canonical().to_string()),
        user_agent: Set(user_agent),
        created_at: Set(now),
        authenticated_at: Set(now),
        last_seen_at: Set(now),
        expires_at: Set(now.after(SESSION_LIFE)),
    }
    .insert(tx)
    .await?;
    networks::remember(tx, user, info.address).await?;
    tx.invalidate(Invalidation::user(user, Topic::Account));
    Ok(token.plain().clone())
}

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

async fn find_user(
    ctx: &AppContext,
    email: &Email,
) -> Result<Option<entity::user::Model>, AppError> {
    Ok(entity::User::find()
        .filter(entity::user::Column::Email.eq(email.clone()))
        .one(ctx.db().read())
        .await?)
}

pub async fn set_password_hash(tx: &mut Tx, user: UserId, hash: String) -> Result<(), AppError> {
    use entity::user::Column;
    entity::User::update_many()
        .col_expr(Column::PasswordHash, Expr::value(hash))
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(user))
        .exec(tx)
        .await?;
    Ok(())
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

pub async fn sign_out(ctx: &AppContext, person: &SignedInUser) -> Result<(), AppError> {
    let mut tx = ctx.db().begin().await?;
    entity::Session::delete_by_id(person.session())
        .exec(&tx)
        .await?;
    tx.invalidate(Invalidation::user(person.id(), Topic::Account));
    tx.commit().await?;
    Ok(())
}

/// Ends all of this user's sessions except one, and returns how many there were.
pub async fn end_other_sessions(
    tx: &mut Tx,
    user: UserId,
    keep: Option<SessionId>,
) -> Result<u64, AppError> {
    use entity::session::Column;
    let mut ended = entity::Session::delete_many().filter(Column::UserId.eq(user));
    if let Some(keep) = keep {
        ended = ended.filter(Column::Id.ne(keep));
    }
    let ended = ended.exec(tx).await?.rows_affected;
    tx.invalidate(Invalidation::user(user, Topic::Account));
    Ok(ended)
}

/// Sends a password reset link if the account exists. The response is the same if it does not.
pub async fn request_reset(
    ctx: &AppContext,
    info: &RequestInfo,
    email: &str,
) -> Result<(), AppError> {
    let email = Email::parse(email).map_err(|error| AppError::field("email", error))?;
    let user = find_user(ctx, &email).await?;
    let known = match &user {
        Some(user) => networks::is_known(ctx.db(), user.id, info.address).await?,
        None => false,
    };
    ctx.limits().mail(info.address, email.as_str(), known)?;
    let Some(user) = user else {
        return Ok(());
    };
    // The response must not reveal whether the account exists, so this limit is silent.
    if user.email_confirmed_at.is_none() && ctx.limits().unconfirmed(&email).is_err() {
        return Ok(());
    }
    let mut tx = ctx.db().begin().await?;
    let token = links::issue(&mut tx, LinkPurpose::ResetPassword, user.id).await?;
    let name = ctx
        .site()
        .counts_as_confirmed(user.email_confirmed_at)
        .then_some(user.name.as_str());
    let message = templates::reset_password(ctx.site(), name, token.expose());
    email::enqueue(
        &mut tx,
        ctx,
        Recipient {
            email: user.email,
            user: Some(user.id),
        },
        message,
        None,
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Sets a new password with a link from an email. Ends every session, every other link and any pending change of email
/// address of the account: they may be a stranger's.
pub async fn reset_password(
    ctx: &AppContext,
    info: &RequestInfo,
    token: &Secret,
    password: &Secret,
) -> Result<(), AppError> {
    let dead = || {
        AppError::Conflict(
            "This link has expired or was already used. Request a new one.".to_owned(),
        )
    };
    ctx.limits().token(info.address)?;
    let user = links::peek(ctx, LinkPurpose::ResetPassword, token)
        .await?
        .ok_or_else(dead)?;
    let user = entity::User::find_by_id(user)
        .one(ctx.db().read())
        .await?
        .ok_or_else(dead)?;
    check_password_strength(ctx, "password", password, &user.name, &user.email).await?;
    let hash = ctx.passwords().hash(password).await?;
    let mut tx = ctx.db().begin().await?;
    lock_user(&tx, user.id).await?;
    links::redeem(&mut tx, LinkPurpose::ResetPassword, token)
        .await?
        .ok_or_else(dead)?;
    set_password_hash(&mut tx, user.id, hash).await?;
    end_other_sessions(&mut tx, user.id, None).await?;
    end_links(&mut tx, user.id).await?;
    // Using the link proves that the mailbox is theirs.
    mark_confirmed(&mut tx, user.id).await?;
    let event = NewEvent::about_person(
        user.id,
        EventType::SecurityPasswordChanged,
        json!({"by": "link"}),
    );
    events::record(&mut tx, Origin::person(user.id, &user.name), event).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Confirmed);
    Ok(())
}

pub async fn mark_confirmed(tx: &mut Tx, user: UserId) -> Result<(), AppError> {
    use entity::user::Column;
    let confirmed = entity::User::update_many()
        .col_expr(Column::EmailConfirmedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(user))
        .filter(Column::EmailConfirmedAt.is_null())
        .exec(tx)
        .await?;
    if confirmed.rows_affected > 0 {
        // From now on they get as much email as others.
        entity::EmailWindow::delete_by_id(user).exec(tx).await?;
    }
    tx.invalidate(Invalidation::user(user, Topic::Account));
    Ok(())
}

pub async fn send_confirmation(
    tx: &mut Tx,
    ctx: &AppContext,
    user: UserId,
    email: &Email,
) -> Result<(), AppError> {
    let token = links::issue(tx, LinkPurpose::ConfirmEmail, user).await?;
    let message = templates::confirm_address(ctx.site(), token.expose());
    email::enqueue(
        tx,
        ctx,
        Recipient {
            email: email.clone(),
            user: Some(user),
        },
        message,
        None,
    )
    .await?;
    Ok(())
}

pub async fn resend_confirmation(
    ctx: &AppContext,
    info: &RequestInfo,
    person: &SignedInUser,
) -> Result<(), AppError> {
    if person.is_confirmed() {
        return Err(AppError::Conflict(
            "Your email address is already confirmed.".to_owned(),
        ));
    }
    ctx.limits()
        .mail(info.address, person.email().as_str(), true)?;
    ctx.limits().unconfirmed(person.email())?;
    let mut tx = ctx.db().begin().await?;
    send_confirmation(&mut tx, ctx, person.id(), person.email()).await?;
    tx.commit().await?;
    Ok(())
}

/// Confirms the email address given at sign-up. `false`: the link is not valid.
pub async fn confirm_address(ctx: &AppContext, token: &Secret) -> Result<bool, AppError> {
    let mut tx = ctx.db().begin().await?;
    let Some(user) = links::redeem(&mut tx, LinkPurpose::ConfirmEmail, token).await? else {
        return Ok(false);
    };
    mark_confirmed(&mut tx, user).await?;
    tx.commit().await?;
    ctx.key_changes().send(KeyChange::Confirmed);
    Ok(true)
}

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

/// Serializes membership changes of a workspace, so that two owners cannot demote each other at the same time. On
/// SQLite the write transaction itself ensures this.
pub async fn lock_workspace(tx: &Tx, workspace: WorkspaceId) -> Result<(), AppError> {
    entity::Workspace::find_by_id(workspace)
        .lock_exclusive()
        .one(tx)
        .await?
        .ok_or(AppError::NotFound)?;
    Ok(())
}

/// This user's membership inside the transaction, which may be less than when the request began.
pub async fn reload_actor(tx: &Tx, actor: &Actor) -> Result<Actor, AppError> {
    Actor::find(tx, actor.person(), &actor.workspace().to_string()).await
}

/// Precision of "last seen" and "last active": within this time, another visit is not recorded.
pub const SEEN_EVERY: std::time::Duration = domain::minutes(1);

/// Records that someone was active. Written apart from the request, so that viewing a page writes nothing.
pub async fn record_last_seen(ctx: &AppContext, seen: &super::Seen) -> Result<(), AppError> {
    let now = Timestamp::now();
    let before = now.before(SEEN_EVERY);
    let tx = ctx.db().begin().await?;
    {
        use entity::session::Column;
        entity::Session::update_many()
            .col_expr(Column::LastSeenAt, Expr::value(now))
            .filter(Column::Id.eq(seen.person.session()))
            .filter(Column::LastSeenAt.lt(before))
            .exec(&tx)
            .await?;
    }
    if !seen.memberships.is_empty() {
        use entity::membership::Column;
        entity::Membership::update_many()
            .col_expr(Column::LastActiveAt, Expr::value(now))
            .filter(Column::Id.is_in(seen.memberships.iter().copied()))
            .filter(
                sea_orm::Condition::any()
                    .add(Column::LastActiveAt.is_null())
                    .add(Column::LastActiveAt.lt(before)),
            )
            .exec(&tx)
            .await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Creates an account and its workspace for the command line: the operator vouches for the email address.
pub async fn create_owner(
    ctx: &AppContext,
    name: &Name,
    email: &Email,
    password: &Secret,
    workspace: &Name,
    slug: &Slug,
) -> Result<(), AppError> {
    check_password_strength(ctx, "password", password, name.as_str(), email).await?;
    let hash = ctx.passwords().hash(password).await?;
    let mut tx = ctx.db().begin().await?;
    let user = insert_user(&mut tx, name, email, hash, Some(Timestamp::now())).await?;
    create_workspace(&mut tx, ctx.catalog(), user, name, workspace, Some(slug)).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes unusable data: ended sessions, invalid links, finished changes of email address, old emails.
pub async fn sweep(ctx: &AppContext) -> Result<u64, AppError> {
    let now = Timestamp::now();
    let tx = ctx.db().begin().await?;
    let sessions = {
        use entity::session::Column;
        entity::Session::delete_many()
            .filter(
                sea_orm::Condition::any()
                    .add(Column::ExpiresAt.lte(now))
                    .add(Column::LastSeenAt.lte(now.before(super::actor::SESSION_IDLE))),
            )
            .exec(&tx)
            .await?
    };
    let tokens = entity::Token::delete_many()
        .filter(entity::token::Column::ExpiresAt.lt(now.before(domain::days(1))))
        .exec(&tx)
        .await?;
    let changes = {
        use entity::email_change::Column;
        entity::EmailChange::delete_many()
            .filter(
                sea_orm::Condition::any()
                    .add(Column::EndedAt.is_not_null())
                    .add(Column::CreatedAt.lt(now.before(links::REVERT_LIFE))),
            )
            .exec(&tx)
            .await?
    };
    let messages = entity::OutboxEmail::delete_many()
        .filter(entity::outbox_email::Column::CreatedAt.lt(now.before(email::KEPT)))
        .exec(&tx)
        .await?;
    let networks = networks::sweep(&tx).await?;
    tx.commit().await?;
    Ok([sessions, tokens, changes, messages]
        .iter()
        .map(|removed| removed.rows_affected)
        .sum::<u64>()
        + networks)
}
