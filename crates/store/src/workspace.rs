use std::time::Duration;

use domain::catalog::EventType;
use domain::form::FormSuccess;
use domain::workspace::{NewWorkspaceForm, SLUG_HOLD, SlugCheck, WorkspaceView};
use domain::{
    AppError, EventId, FieldErrors, MembershipId, Name, Permission, Role, Secret, Slug, SlugError,
    Timestamp, Topic, hours,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, EntityTrait, JoinType, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::json;

use crate::activity;
use crate::auth::key_changes::KeyChange;
use crate::auth::{Actor, Permit, RequestInfo, Sensitive, SignedInUser, can, sessions};
use crate::context::AppContext;
use crate::db::{Tx, entity};
use crate::email::{self, Recipient, templates};
use crate::events::{self, NewEvent, Origin};
use crate::live::Invalidation;

/// How long a change of name or URL can be undone.
const UNDO: Duration = hours(1);

pub async fn view(
    ctx: &AppContext,
    actor: &Permit<can::ReadWorkspace>,
) -> Result<WorkspaceView, AppError> {
    let read = ctx.db().read();
    let former = entity::SlugClaim::find()
        .filter(entity::slug_claim::Column::WorkspaceId.eq(actor.workspace()))
        .filter(entity::slug_claim::Column::ReleasedAt.gt(Timestamp::now().before(SLUG_HOLD)))
        .order_by_desc(entity::slug_claim::Column::ReleasedAt)
        .all(read)
        .await?;
    let owns = actor.may(Permission::OwnWorkspace);
    // For the owner's part of the page: who can take over, and what deleting removes.
    let (mut transfer_candidates, contacts) = if owns {
        let contacts = entity::Contact::find()
            .filter(entity::contact::Column::WorkspaceId.eq(actor.workspace()));
        (members(ctx, actor).await?, contacts.count(read).await?)
    } else {
        (Vec::new(), 0)
    };
    let members = transfer_candidates.len() as u64;
    let owners = transfer_candidates
        .iter()
        .filter(|(.., role)| role.is_owner())
        .count();
    transfer_candidates.retain(|(id, ..)| *id != actor.membership());
    Ok(WorkspaceView {
        id: actor.workspace(),
        name: actor.workspace_name().to_owned(),
        slug: actor.slug().clone(),
        role: actor.role(),
        may_edit: actor.may(Permission::EditWorkspace),
        former: former
            .into_iter()
            .filter_map(|claim| Some((claim.slug, claim.released_at?.after(SLUG_HOLD))))
            .collect(),
        last_owner: owns && owners == 1,
        transfer_candidates: transfer_candidates
            .into_iter()
            .map(|(id, name, _)| (id, name))
            .collect(),
        ask_password: !actor.person().is_fresh(),
        members,
        contacts,
    })
}

async fn members(
    ctx: &AppContext,
    actor: &Actor,
) -> Result<Vec<(MembershipId, String, Role)>, AppError> {
    use entity::{membership, user};
    Ok(entity::Membership::find()
        .join(
            JoinType::InnerJoin,
            membership::Entity::belongs_to(user::Entity)
                .from(membership::Column::UserId)
                .to(user::Column::Id)
                .into(),
        )
        .filter(membership::Column::WorkspaceId.eq(actor.workspace()))
        .order_by_asc(user::Column::Name)
        .select_only()
        .column_as(membership::Column::Id, "id")
        .column_as(user::Column::Name, "name")
        .column_as(membership::Column::Role, "role")
        .into_tuple()
        .all(ctx.db().read())
        .await?)
}

pub async fn rename(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    name: Name,
) -> Result<FormSuccess, AppError> {
    if name.as_str() == actor.workspace_name() {
        return Ok(FormSuccess::with_message("Changes saved"));
    }
    let mut tx = ctx.db().begin().await?;
    let event = set_name(&mut tx, actor, actor.workspace_name(), name.as_str()).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message("Changes saved").with_undo(
        "/fn/undo_workspace_rename",
        actor.workspace(),
        event,
    ))
}

async fn set_name(tx: &mut Tx, actor: &Actor, from: &str, to: &str) -> Result<EventId, AppError> {
    use entity::workspace::Column;
    entity::Workspace::update_many()
        .col_expr(Column::Name, Expr::value(to))
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(actor.workspace()))
        .exec(tx)
        .await?;
    let data = json!({"from": from, "to": to});
    events::record(
        tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), EventType::WorkspaceRenamed, data),
    )
    .await
}

pub async fn undo_rename(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    event: EventId,
) -> Result<FormSuccess, AppError> {
    let mut tx = ctx.db().begin().await?;
    let undone = activity::undoable(&tx, actor, event, EventType::WorkspaceRenamed, UNDO).await?;
    let (from, to) = from_to(&undone.data);
    if actor.workspace_name() != to {
        return Err(AppError::Conflict(
            "The name has changed since. Undo is no longer available.".to_owned(),
        ));
    }
    set_name(&mut tx, actor, to, from).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Name changed back to {from}"
    )))
}

fn from_to(data: &serde_json::Value) -> (&str, &str) {
    (
        data["from"].as_str().unwrap_or_default(),
        data["to"].as_str().unwrap_or_default(),
    )
}

pub async fn check_slug(
    ctx: &AppContext,
    actor: Option<&Actor>,
    text: &str,
) -> Result<SlugCheck, AppError> {
    let no = |reason: SlugError, suggestion| SlugCheck::No {
        reason: reason.to_string(),
        suggestion,
    };
    let slug = match Slug::parse(text) {
        Ok(slug) => slug,
        Err(SlugError::Empty) => return Ok(no(SlugError::Empty, None)),
        Err(error) => {
            let free = sessions::free_slug(ctx.db().read(), &Slug::suggest(text)).await?;
            return Ok(no(error, Some(free)));
        }
    };
    if actor.is_some_and(|actor| *actor.slug() == slug) {
        return Ok(SlugCheck::Current);
    }
    let claim = entity::SlugClaim::find_by_id(slug.clone())
        .one(ctx.db().read())
        .await?;
    let free = claim.is_none_or(|claim| {
        let own = actor.is_some_and(|actor| claim.workspace_id == Some(actor.workspace()));
        let lapsed = claim
            .released_at
            .is_some_and(|at| at < Timestamp::now().before(SLUG_HOLD));
        own || lapsed
    });
    if free {
        return Ok(SlugCheck::Free);
    }
    let suggestion = sessions::free_slug(ctx.db().read(), &slug).await?;
    Ok(SlugCheck::No {
        reason: "That URL is taken".to_owned(),
        suggestion: Some(suggestion),
    })
}

/// What is wrong with a slug, with one that is available, in the same words as while typing.
pub async fn with_free_slug(
    ctx: &AppContext,
    actor: Option<&Actor>,
    typed: &str,
    error: AppError,
) -> AppError {
    let AppError::Invalid(errors) = &error else {
        return error;
    };
    if errors.get("slug").is_none() {
        return error;
    }
    let Ok(SlugCheck::No {
        reason,
        suggestion: Some(free),
    }) = check_slug(ctx, actor, typed).await
    else {
        return error;
    };
    let mut offering = FieldErrors::new();
    offering.add("slug", format!("{reason}. Try {free}."));
    for (field, message) in errors.iter() {
        offering.add(field, message);
    }
    AppError::Invalid(offering)
}

pub async fn move_to(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    slug: Slug,
) -> Result<FormSuccess, AppError> {
    if slug == *actor.slug() {
        return Ok(FormSuccess::with_message("That's already your URL"));
    }
    let former = format!("/w/{}", actor.slug());
    let mut tx = ctx.db().begin().await?;
    let event = set_slug(&mut tx, actor, &slug).await?;
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "URL updated. {former} will redirect here for 90 days."
    ))
    .with_undo("/fn/undo_workspace_url", actor.workspace(), event))
}

async fn set_slug(tx: &mut Tx, actor: &Actor, to: &Slug) -> Result<EventId, AppError> {
    use entity::{slug_claim, workspace};
    sessions::lock_workspace(tx, actor.workspace()).await?;
    let from = sessions::reload_actor(tx, actor).await?.slug().clone();
    entity::SlugClaim::update_many()
        .col_expr(
            slug_claim::Column::ReleasedAt,
            Expr::value(Timestamp::now()),
        )
        .filter(slug_claim::Column::Slug.eq(from.clone()))
        .filter(slug_claim::Column::WorkspaceId.eq(actor.workspace()))
        .exec(tx)
        .await?;
    sessions::claim_slug(tx, actor.workspace(), to).await?;
    entity::Workspace::update_many()
        .col_expr(workspace::Column::Slug, Expr::value(to.clone()))
        .col_expr(workspace::Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(workspace::Column::Id.eq(actor.workspace()))
        .exec(tx)
        .await?;
    let data = json!({"from": from, "to": to});
    events::record(
        tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), EventType::WorkspaceUrlChanged, data),
    )
    .await
}

pub async fn undo_move(
    ctx: &AppContext,
    actor: &Permit<can::EditWorkspace>,
    event: EventId,
) -> Result<Slug, AppError> {
    let mut tx = ctx.db().begin().await?;
    let undone =
        activity::undoable(&tx, actor, event, EventType::WorkspaceUrlChanged, UNDO).await?;
    let (from, to) = from_to(&undone.data);
    if actor.slug().as_str() != to {
        return Err(AppError::Conflict(
            "The URL has changed since. Undo is no longer available.".to_owned(),
        ));
    }
    let from = Slug::parse(from).map_err(|_| AppError::NotFound)?;
    set_slug(&mut tx, actor, &from).await?;
    tx.commit().await?;
    Ok(from)
}

pub async fn create(
    ctx: &AppContext,
    person: &SignedInUser,
    form: &NewWorkspaceForm,
) -> Result<Slug, AppError> {
    person.require_confirmed()?;
    let mut errors = FieldErrors::new();
    let name = errors.check("name", Name::parse(&form.name));
    let wish = match form.slug.trim() {
        "" => None,
        text => errors.check("slug", Slug::parse(text)),
    };
    let Some(name) = name.filter(|_| errors.is_empty()) else {
        return Err(AppError::Invalid(errors));
    };
    ctx.limits().workspace_create(person.id())?;
    let owner = Name::parse(person.name()).map_err(|_| AppError::Malformed)?;
    let mut tx = ctx.db().begin().await?;
    let slug = sessions::create_workspace(
        &mut tx,
        ctx.catalog(),
        person.id(),
        &owner,
        &name,
        wish.as_ref(),
    )
    .await?;
    tx.commit().await?;
    Ok(slug)
}

/// How many owners a workspace has, counted inside the transaction that is about to remove one.
pub async fn owners(tx: &Tx, actor: &Actor) -> Result<u64, AppError> {
    use entity::membership::Column;
    Ok(entity::Membership::find()
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::Role.eq(Role::Owner))
        .count(tx)
        .await?)
}

/// What cannot be undone requires typing the workspace's slug.
fn confirm_by_slug(actor: &Actor, typed: &str) -> Result<(), AppError> {
    if typed.trim() == actor.slug().as_str() {
        Ok(())
    } else {
        let message = format!("Type {} to confirm", actor.slug());
        Err(AppError::field("slug", message))
    }
}

pub async fn leave(ctx: &AppContext, actor: &Actor, typed_slug: &str) -> Result<(), AppError> {
    confirm_by_slug(actor, typed_slug)?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = &sessions::reload_actor(&tx, actor).await?;
    if actor.role().is_owner() && owners(&tx, actor).await? == 1 {
        return Err(AppError::Conflict(
            "You're the only owner. Transfer ownership before leaving, or delete the workspace."
                .to_owned(),
        ));
    }
    if actor.role().is_owner() {
        actor.person().require_fresh(Sensitive::RemoveOwner)?;
    }
    entity::Membership::delete_by_id(actor.membership())
        .exec(&tx)
        .await?;
    let person = actor.person();
    let data = json!({
        "member": actor.membership(), "user": person.id(), "name": person.name(), "email": person.email(),
        "role": actor.role(), "left": true,
    });
    events::record(
        &mut tx,
        actor,
        NewEvent::in_workspace(actor.workspace(), EventType::MemberRemoved, data),
    )
    .await?;
    tx.invalidate(Invalidation::user(person.id(), Topic::Workspace));
    tx.commit().await?;
    Ok(())
}

/// Makes another member the owner and this one an admin, in one step.
pub async fn transfer(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::OwnWorkspace>,
    heir: MembershipId,
    typed_slug: &str,
    current_password: &Secret,
) -> Result<FormSuccess, AppError> {
    use entity::membership::Column;
    confirm_by_slug(actor, typed_slug)?;
    sessions::confirm_identity(ctx, info, actor.person(), current_password).await?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    let actor = &sessions::reload_actor(&tx, actor).await?;
    actor.require(Permission::OwnWorkspace)?;
    let member = entity::Membership::find_by_id(heir)
        .filter(Column::WorkspaceId.eq(actor.workspace()))
        .filter(Column::Id.ne(actor.membership()))
        .one(&tx)
        .await?
        .ok_or_else(|| AppError::field("member", "Choose a member"))?;
    let user = entity::User::find_by_id(member.user_id)
        .one(&tx)
        .await?
        .ok_or(AppError::NotFound)?;
    let steps = [
        (
            member.id,
            user.id,
            user.name.as_str(),
            member.role,
            Role::Owner,
        ),
        (
            actor.membership(),
            actor.person().id(),
            actor.person().name(),
            Role::Owner,
            Role::Admin,
        ),
    ];
    for (id, user_id, name, from, to) in steps {
        entity::Membership::update_many()
            .col_expr(Column::Role, Expr::value(to))
            .filter(Column::Id.eq(id))
            .exec(&tx)
            .await?;
        let data = json!({"member": id, "user": user_id, "name": name, "from": from, "to": to});
        let event = NewEvent::in_workspace(actor.workspace(), EventType::MemberRoleChanged, data)
            .about(user_id);
        events::record(&mut tx, actor, event).await?;
    }
    tx.invalidate(Invalidation::workspace(actor.workspace(), Topic::Workspace));
    tx.commit().await?;
    Ok(FormSuccess::with_message(format!(
        "Ownership transferred to {}. You're now an admin.",
        user.name
    )))
}

/// Deletes a workspace with everything in it. Its members get an email, because their inbox there is deleted too.
pub async fn delete(
    ctx: &AppContext,
    info: &RequestInfo,
    actor: &Permit<can::OwnWorkspace>,
    typed_slug: &str,
    current_password: &Secret,
) -> Result<(), AppError> {
    use entity::{membership, slug_claim, user};
    confirm_by_slug(actor, typed_slug)?;
    sessions::confirm_identity(ctx, info, actor.person(), current_password).await?;
    let mut tx = ctx.db().begin().await?;
    sessions::lock_workspace(&tx, actor.workspace()).await?;
    sessions::reload_actor(&tx, actor)
        .await?
        .require(Permission::OwnWorkspace)?;
    let people = entity::User::find()
        .join(
            JoinType::InnerJoin,
            user::Entity::belongs_to(membership::Entity)
                .from(user::Column::Id)
                .to(membership::Column::UserId)
                .into(),
        )
        .filter(membership::Column::WorkspaceId.eq(actor.workspace()))
        .all(&tx)
        .await?;
    for person in people {
        tx.invalidate(Invalidation::user(person.id, Topic::Workspace));
        let confirmed = ctx.site().counts_as_confirmed(person.email_confirmed_at);
        if confirmed && person.id != actor.person().id() {
            let message =
                templates::workspace_deleted(actor.workspace_name(), actor.person().name());
            email::enqueue(
                &mut tx,
                ctx,
                Recipient {
                    email: person.email,
                    user: Some(person.id),
                },
                message,
                None,
            )
            .await?;
        }
    }
    entity::SlugClaim::update_many()
        .col_expr(
            slug_claim::Column::ReleasedAt,
            Expr::value(Timestamp::now()),
        )
        .filter(slug_claim::Column::WorkspaceId.eq(actor.workspace()))
        .filter(slug_claim::Column::ReleasedAt.is_null())
        .exec(&tx)
        .await?;
    entity::Workspace::delete_by_id(actor.workspace())
        .exec(&tx)
        .await?;
    // The workspace's own log is gone with it; that it was deleted stands in its owner's.
    let data = json!({"workspace": actor.workspace(), "name": actor.workspace_name(), "slug": actor.slug()});
    let event = NewEvent::about_person(actor.person().id(), EventType::WorkspaceDeleted, data);
    events::record(&mut tx, Origin::from(actor), event).await?;
    tx.commit().await?;
    ctx.key_changes()
        .send(KeyChange::Workspace(actor.workspace()));
    Ok(())
}
