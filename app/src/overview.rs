//! `/w/{slug}`: recent activity, as far as the person can see it.

use domain::Topic;
use domain::overview::Overview;
use leptos::prelude::*;
use leptos_meta::Title;

use crate::rpc::{Postcard, RpcError};
use crate::ui::{Card, Data, Empty, Icon, PageHeader, Time, guarded, use_slug, view};

#[server(output = Postcard)]
pub async fn load_overview(workspace: String) -> Result<Overview, RpcError> {
    let caller = crate::session::caller()?;
    let actor = caller.actor(&workspace).await?;
    Ok(store::overview::view(caller.ctx(), &actor.permit()?).await?)
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
