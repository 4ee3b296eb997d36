//! `/outbox`: the emails that were not sent, readable only in the demo.

use domain::outbox::Outbox;
use leptos::prelude::*;
use leptos_meta::Title;

use crate::rpc::{Postcard, RpcError};
use crate::ui::{Data, Empty, Icon, PageHeader, Time, WithinMain, guarded, view};

#[server(output = Postcard)]
pub async fn load_outbox() -> Result<Outbox, RpcError> {
    Ok(store::outbox::view(&crate::session::app_context()?).await?)
}

#[component]
pub fn OutboxPage() -> impl IntoView {
    provide_context(WithinMain);
    view! {
        <Title text="Outbox"/>
        <main id="main" class="page" tabindex="-1">
            <PageHeader title="Outbox" lead="Emails this demo would have sent, newest first."/>
            {guarded(|| LoadOutbox {}, &[], outbox)}
        </main>
    }
}

fn outbox(data: Data<Outbox>) -> impl IntoView {
    let Outbox { messages } = data.get_untracked();
    if messages.is_empty() {
        return view! { <Empty mark=Icon::Mail title="No emails yet" text="Invite someone or reset a password to see one."/> }.into_any();
    }
    messages
        .into_iter()
        .map(|message| {
            view! {
                <article class="card mail">
                    <h2 class="card-title">{message.subject}</h2>
                    <p class="muted small">"To "{message.to}" · "<Time at=message.at/></p>
                    <pre class="mail-text">{linked(&message.text)}</pre>
                    {message.unsubscribe.map(|url| view! { <p class="small"><a href=url rel="external">"Unsubscribe"</a></p> })}
                </article>
            }
        })
        .collect_view()
        .into_any()
}

/// The text with its addresses made links.
fn linked(text: &str) -> Vec<AnyView> {
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let address = word.trim_end();
            if address.starts_with("http://") || address.starts_with("https://") {
                let rest = word[address.len()..].to_owned();
                view! { <a href=address.to_owned() rel="external">{address.to_owned()}</a>{rest} }
                    .into_any()
            } else {
                word.to_owned().into_any()
            }
        })
        .collect()
}
