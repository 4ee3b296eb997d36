//! `/w/{slug}`: recent activity, as far as the person can see it.

use leptos::prelude::*;
use leptos_meta::Title;
use serde::{Deserialize, Serialize};

use crate::domain::{AppError, Timestamp};
use crate::live::Topic;
use crate::rpc::Postcard;
use crate::ui::{Card, Data, Empty, Icon, PageHeader, Time, guarded, use_slug, view};

/// How many events the overview shows.
#[cfg(feature = "ssr")]
const LATEST: u64 = 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    pub members: u64,
    pub contacts: u64,
    /// Sentence and time, newest first.
    pub events: Vec<(String, Timestamp)>,
}

#[server(output = Postcard)]
pub async fn load_overview(workspace: String) -> Result<Overview, AppError> {
    let caller = crate::session::caller()?;
    let actor = caller.actor(&workspace).await?;
    store::overview(caller.ctx(), &actor).await
}

#[cfg(feature = "ssr")]
pub mod store {
    use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

    use super::{LATEST, Overview};
    use crate::catalog::Mode;
    use crate::context::AppContext;
    use crate::db::entity::{self, contact, membership};
    use crate::domain::{AppError, Permission};
    use crate::events::{describe, latest};
    use crate::session::Actor;

    /// The workspace's live data: test contacts and test events are for developers.
    pub async fn overview(ctx: &AppContext, actor: &Actor) -> Result<Overview, AppError> {
        actor.require(Permission::ReadWorkspace)?;
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
}

#[component]
pub fn OverviewPage() -> impl IntoView {
    let slug = use_slug();
    view! {
        <Title text="Overview"/>
        <PageHeader title="Overview" lead="Recent activity in this workspace."/>
        {guarded(move || LoadOverview { workspace: slug.get() }, &[Topic::Workspace, Topic::Members, Topic::Contacts], overview)}
    }
}

fn overview(data: Data<Overview>) -> impl IntoView {
    view! {
        <dl class="stats">
            <div class="stat"><dt>"Members"</dt><dd class="tabular">{move || data.with(|view| view.members)}</dd></div>
            <div class="stat"><dt>"Contacts"</dt><dd class="tabular">{move || data.with(|view| view.contacts)}</dd></div>
        </dl>
        <Card title="Recent Activity">
            {move || data.with(|view| {
                if view.events.is_empty() {
                    return view! { <Empty mark=Icon::Activity title="No activity yet" text="Invite your team to get started."/> }.into_any();
                }
                view! {
                    <ul class="divided-list event-list">
                        {view.events.iter().cloned().map(|(sentence, at)| view! {
                            <li class="list-row"><span class="list-main">{sentence}</span><Time at/></li>
                        }).collect_view()}
                    </ul>
                }.into_any()
            })}
        </Card>
    }
}
