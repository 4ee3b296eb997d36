//! `/w/{slug}`: what happened lately, as far as one may see it.

use leptos::prelude::*;
use leptos_meta::Title;
use serde::{Deserialize, Serialize};

use crate::call::Compact;
use crate::domain::{AppError, Timestamp};
use crate::live::Topic;
use crate::ui::{Card, Data, Empty, Icon, PageHeader, Time, guarded, use_slug, view};

/// How many events the overview shows.
#[cfg(feature = "ssr")]
const LATEST: u64 = 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    pub workspace: String,
    pub members: u64,
    pub contacts: u64,
    /// Sentence and moment, newest first.
    pub events: Vec<(String, Timestamp)>,
}

#[server(output = Compact)]
pub async fn load_overview(workspace: String) -> Result<Overview, AppError> {
    let caller = crate::session::caller()?;
    let actor = caller.actor(&workspace).await?;
    let view = crate::settings::workspace::store::view(caller.house(), &actor).await?;
    let events = crate::events::latest(caller.house(), &actor, LATEST).await?;
    Ok(Overview {
        workspace: view.name,
        members: view.members,
        contacts: view.contacts,
        events: events
            .into_iter()
            .map(|event| {
                (
                    crate::events::describe(event.event_type, &event.actor_name, &event.data),
                    event.created_at,
                )
            })
            .collect(),
    })
}

#[component]
pub fn OverviewPage() -> impl IntoView {
    let slug = use_slug();
    view! {
        <Title text="Overview"/>
        <PageHeader title="Overview" lead="What happened in this workspace lately."/>
        {guarded(move || LoadOverview { workspace: slug.get() }, &[Topic::Workspace, Topic::Members, Topic::Contacts], overview)}
    }
}

fn overview(data: Data<Overview>) -> impl IntoView {
    view! {
        <dl class="stats">
            <div class="stat"><dt>"Members"</dt><dd class="tabular">{move || data.with(|view| view.members)}</dd></div>
            <div class="stat"><dt>"Contacts"</dt><dd class="tabular">{move || data.with(|view| view.contacts)}</dd></div>
        </dl>
        <Card title="Recent activity">
            {move || data.with(|view| {
                if view.events.is_empty() {
                    return view! { <Empty mark=Icon::Activity title="Nothing yet" text="Invite someone, and it appears here."/> }.into_any();
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
