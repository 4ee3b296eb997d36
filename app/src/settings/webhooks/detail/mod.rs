//! The page of one webhook: its status, its settings, and every delivery with every attempt.

mod delivery_list;
mod endpoint;
mod names;
mod open_delivery;
mod route_query;
mod settings_cards;

use domain::Topic;
use domain::webhooks::WebhookView;
use leptos::prelude::*;
use leptos_meta::Title;

use self::delivery_list::deliveries;
use self::endpoint::state;
use self::names::Names;
use self::route_query::RouteQuery;
use self::settings_cards::{danger, secret, settings};
use super::api::LoadWebhook;
use crate::ui::{
    Data, NewSecret, PageHeader, StatusMessages, forget_secret_on_leaving, guarded, last_part,
    use_asked, use_slug, view,
};

#[component]
pub fn WebhookPage() -> impl IntoView {
    let (slug, id) = (use_slug(), last_part());
    let asked = RouteQuery {
        status: use_asked("status"),
        event_type: use_asked("type"),
        hours: use_asked("hours"),
        before: use_asked("before"),
        delivery: use_asked("delivery"),
    };
    forget_secret_on_leaving();
    view! {
        <Title text="Webhook"/>
        <p class="crumb"><a href=move || format!("/w/{}/settings/webhooks", slug.get())>"Webhooks"</a></p>
        <PageHeader title="Webhook" lead="Status, deliveries and settings."/>
        {guarded(
            move || LoadWebhook {
                workspace: slug.get(),
                webhook: id.clone(),
                status: asked.status.get(),
                event_type: asked.event_type.get(),
                hours: asked.hours.get(),
                before: asked.before.get(),
                delivery: asked.delivery.get(),
            },
            &[Topic::Webhooks, Topic::Deliveries],
            move |data| webhook(data, asked),
        )}
    }
}

fn webhook(data: Data<WebhookView>, asked: RouteQuery) -> impl IntoView {
    let names = data.with_untracked(|view| Names {
        workspace: view.workspace,
        id: view.id,
    });
    let ask = Signal::derive(move || data.with(|view| view.ask_password));
    view! {
        {shown_once()}
        {state(data, names)}
        {deliveries(data, names, asked, ask)}
        {settings(data, names)}
        {secret(data, names, ask)}
        {danger(data, names)}
    }
}

/// A secret, or a command that contains a signature, shown to the person who asked for it.
fn shown_once() -> impl IntoView {
    let said = expect_context::<StatusMessages>();
    let is_command = Memo::new(move |_| {
        said.secret()
            .is_some_and(|text| text.expose().starts_with("curl "))
    });
    move || {
        if is_command.get() {
            view! {
                <NewSecret label="curl command" text="Signed just now. Most endpoints accept it for 5 minutes."
                    command=Callback::new(|text: String| text.replace(" -H ", " \\\n  -H ").replace(" --data-raw ", " \\\n  --data-raw "))/>
            }.into_any()
        } else {
            view! {
                <NewSecret label="Signing Secret" text="Use it to verify webhook signatures."
                    command=Callback::new(|text: String| format!("WEBHOOK_SECRET={text}"))/>
            }
            .into_any()
        }
    }
}
