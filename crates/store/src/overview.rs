//! The start page of a workspace: recent activity, as far as the person can see it.

use domain::catalog::Mode;
use domain::overview::Overview;
use domain::{AppError, Permission};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::activity::latest;
use crate::auth::{Permit, can};
use crate::context::AppContext;
use crate::db::entity::{self, contact, membership};
use crate::events::describe;

/// How many events the overview shows.
const LATEST: u64 = 20;

/// The workspace's live data: test contacts and test events are for developers.
pub async fn view(
    ctx: &AppContext,
    actor: &Permit<can::ReadWorkspace>,
) -> Result<Overview, AppError> {
    actor.require(Permission::ReadContacts)?;
    let members = entity::Membership::find()
        .filter(membership::Column::WorkspaceId.eq(actor.workspace()))
        .count(ctx.db().read());
    let contacts = entity::Contact::find()
        .filter(contact::Column::WorkspaceId.eq(actor.workspace()))
        .filter(contact::Column::Mode.eq(Mode::Live))
        .count(ctx.db().read());
    let (members, contacts, events) = tokio::try_join!(
        async { Ok(members.await?) },
        async { Ok(contacts.await?) },
        latest(ctx, actor, LATEST)
    )?;
    Ok(Overview {
        members,
        contacts,
        events: events
            .into_iter()
            .map(|event| {
                (
                    describe(event.event_type, &event.actor_name, &event.data),
                    event.created_at,
                )
            })
            .collect(),
    })
}
