//! `/outbox`: the emails that were not sent, readable only in the demo.

use leptos::prelude::*;
use leptos_meta::Title;
use serde::{Deserialize, Serialize};

use crate::domain::{AppError, EmailId, Timestamp};
use crate::rpc::Postcard;
use crate::ui::{Data, Empty, Icon, PageHeader, Time, WithinMain, guarded, view};

#[cfg(feature = "ssr")]
const LATEST: u64 = 50;
/// Shown for an email that was encrypted with another key.
#[cfg(feature = "ssr")]
const UNREADABLE: &str =
    "This email can't be decrypted. The server's key has changed since it was written.";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    pub messages: Vec<OutboxEmailView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEmailView {
    pub id: EmailId,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// What a mail program makes its Unsubscribe button of.
    pub unsubscribe: Option<String>,
    pub at: Timestamp,
}

/// Anyone who reaches a demo may read its outbox: its mail is not anybody's. Elsewhere the page does not exist.
#[server(output = Postcard)]
pub async fn load_outbox() -> Result<Outbox, AppError> {
    use sea_orm::{EntityTrait, QueryOrder, QueryTrait};
    let ctx = crate::session::app_context()?;
    if !ctx.site().demo || ctx.site().sends_mail {
        return Err(AppError::NotFound);
    }
    let query = crate::db::entity::OutboxEmail::find()
        .order_by_desc(crate::db::entity::outbox_email::Column::Id)
        .into_query();
    let messages: Vec<crate::db::entity::outbox_email::Model> =
        crate::db::rows::up_to(LATEST, query, ctx.db().read()).await?;
    Ok(Outbox {
        messages: messages
            .into_iter()
            .map(|mail| {
                let contents = crate::email::decrypt(&ctx, &mail);
                OutboxEmailView {
                    id: mail.id,
                    text: contents
                        .as_ref()
                        .map_or_else(|| UNREADABLE.to_owned(), |contents| contents.text.clone()),
                    unsubscribe: contents.and_then(|contents| contents.unsubscribe_url),
                    to: mail.recipient.to_string(),
                    subject: mail.subject,
                    at: mail.created_at,
                }
            })
            .collect(),
    })
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
