//! All pages by path. Rarely opened pages are in separate files, which the browser fetches when they are first needed
//! and the server names in the page's head; the first page does not include them.

use std::future::{Future, ready};
use std::pin::Pin;

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};

use crate::inbox::page::Inbox;
use crate::outbox::OutboxPage;
use crate::overview::OverviewPage;
use crate::payments::page::{CardPage, CheckoutPage};
use crate::session::page::{
    ConfirmEmailPage, ConfirmPasswordPage, ForgotPasswordPage, HomePage, InvitePage, LoginPage,
    NotFoundPage, ResetPasswordPage, SignUpPage,
};
use crate::settings::account::page::AccountPage;
use crate::settings::api_keys::key_page::ApiKeyPage;
use crate::settings::api_keys::page::ApiKeysPage;
use crate::settings::billing::invoice::InvoicePage;
use crate::settings::billing::page::BillingPage;
use crate::settings::credits::page::CreditsPage;
use crate::settings::members::page::MembersPage;
use crate::settings::notifications::page::{NotificationsPage, UnsubscribePage};
use crate::settings::webhooks::detail::WebhookPage;
use crate::settings::webhooks::page::WebhooksPage;
use crate::settings::workspace::page::{NewWorkspacePage, WorkspacePage};
use crate::ui::{PageSkeleton, deferred};

type Coming<T> = Pin<Box<dyn Future<Output = Result<T, SplitLoaderError>>>>;

/// A page.
pub struct Page {
    /// Its path, with a name in braces for each variable part.
    pub path: &'static str,
    open: fn() -> Coming<AnyView>,
    fetch: fn() -> Coming<()>,
}

/// A page at a path, and the separate file of its code, if it has one.
macro_rules! page {
    ($path:literal, $page:ident) => {
        Page {
            path: $path,
            open: || Box::pin(ready(Ok($page().into_any()))),
            fetch: || Box::pin(ready(Ok(()))),
        }
    };
    ($path:literal, $page:ident, $open:ident in $file:ident) => {{
        #[wasm_split($file, wasm_split_path = leptos::wasm_split, preload(fetch), fallible)]
        fn $open() -> Result<AnyView, SplitLoaderError> {
            #[cfg(feature = "ssr")]
            leptos::prefetch_lazy_fn_on_server(stringify!($file));
            Ok($page().into_any())
        }
        Page {
            path: $path,
            open: || Box::pin($open()),
            fetch: || Box::pin(fetch()),
        }
    }};
}

pub static PAGES: &[Page] = &[
    page!("/", HomePage, home in doors),
    page!("/login", LoginPage, login in doors),
    page!("/signup", SignUpPage, signup in doors),
    page!("/forgot-password", ForgotPasswordPage, forgot_password in doors),
    page!("/reset-password/{token}", ResetPasswordPage, reset_password in doors),
    page!("/confirm-email/{token}", ConfirmEmailPage, confirm_email in doors),
    page!("/confirm-password", ConfirmPasswordPage, confirm_password in doors),
    page!("/invite/{token}", InvitePage, invite in doors),
    page!("/unsubscribe/{token}", UnsubscribePage, unsubscribe in doors),
    page!("/pay/{checkout}", CheckoutPage, checkout in doors),
    page!("/pay/card/{card}", CardPage, card in doors),
    page!("/new", NewWorkspacePage, new_workspace in workspace),
    page!("/outbox", OutboxPage, outbox in doors),
    page!("/w/{slug}", OverviewPage),
    page!("/w/{slug}/inbox", Inbox, inbox in inbox),
    page!("/w/{slug}/settings/account", AccountPage),
    page!("/w/{slug}/settings/notifications", NotificationsPage, notifications in notifications),
    page!("/w/{slug}/settings/workspace", WorkspacePage, workspace in workspace),
    page!("/w/{slug}/settings/members", MembersPage, members in members),
    page!("/w/{slug}/settings/billing", BillingPage, billing in billing),
    page!("/w/{slug}/settings/billing/invoices/{number}", InvoicePage, invoice in billing),
    page!("/w/{slug}/settings/credits", CreditsPage, credits in credits),
    page!("/w/{slug}/settings/api-keys", ApiKeysPage, api_keys in api_keys),
    page!("/w/{slug}/settings/api-keys/{key}", ApiKeyPage, api_key in api_keys),
    page!("/w/{slug}/settings/webhooks", WebhooksPage, webhooks in webhooks),
    page!("/w/{slug}/settings/webhooks/{webhook}", WebhookPage, webhook in webhooks),
];

impl Page {
    /// The page at this path.
    pub fn at(path: &str) -> Option<&'static Self> {
        PAGES.iter().find(|page| page.is_at(path))
    }

    fn is_at(&self, path: &str) -> bool {
        let mut asked = parts(path);
        parts(self.path).all(|part| {
            asked
                .next()
                .is_some_and(|asked| part == asked || part.starts_with('{'))
        }) && asked.next().is_none()
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// The page shown at a path: another variable part, such as another key's id, is another page, but a workspace's pages
/// stay when its slug changes.
#[derive(Clone, PartialEq, Eq)]
pub struct MatchedRoute {
    path: Option<&'static str>,
    thing: Option<String>,
}

impl MatchedRoute {
    pub fn at(path: &str) -> Self {
        let page = Page::at(path);
        let varies = page.filter(|page| page.path.ends_with('}') && page.path != "/w/{slug}");
        Self {
            path: page.map(|page| page.path),
            thing: varies.and_then(|_| parts(path).last().map(str::to_owned)),
        }
    }

    pub fn is_in_workspace(&self) -> bool {
        self.path.is_some_and(|path| path.starts_with("/w/"))
    }

    pub fn view(&self) -> AnyView {
        let page = self.path.and_then(Page::at);
        let Some(page) = page else {
            return NotFoundPage().into_any();
        };
        let opened = (page.open)();
        deferred(
            async move {
                if let Ok(view) = opened.await {
                    view
                } else {
                    // The program was updated, or the network is down: the server knows what to show.
                    let _ = window().location().reload();
                    PageSkeleton().into_any()
                }
            },
            || PageSkeleton().into_any(),
        )
    }
}

/// Fetches the code of the page at this path, so that it can be drawn immediately.
pub async fn fetch(path: &str) {
    if let Some(page) = Page::at(path) {
        // If it fails, the page stays as the server sent it, and its forms work without script.
        let _ = (page.fetch)().await;
    }
}

#[cfg(test)]
mod tests {
    use super::{MatchedRoute, PAGES, Page};

    #[test]
    fn an_address_leads_to_its_page() {
        let page = |path: &str| Page::at(path).map(|page| page.path);
        assert_eq!(page("/"), Some("/"));
        assert_eq!(page("/w/acme"), Some("/w/{slug}"));
        assert_eq!(page("/w/acme/"), Some("/w/{slug}"));
        assert_eq!(
            page("/w/acme/settings/webhooks/whk_1"),
            Some("/w/{slug}/settings/webhooks/{webhook}")
        );
        assert_eq!(page("/invite/abc"), Some("/invite/{token}"));
        for nowhere in [
            "/w",
            "/w/acme/settings",
            "/w/acme/settings/nothing",
            "/invite",
            "/login/more",
        ] {
            assert_eq!(page(nowhere), None, "{nowhere}");
        }
        for page in PAGES {
            assert!(
                Page::at(page.path).is_some_and(|found| found.path == page.path),
                "{}",
                page.path
            );
        }
    }

    #[test]
    fn another_key_is_another_page_and_another_slug_is_not() {
        let shown = |path: &str| MatchedRoute::at(path);
        assert!(shown("/w/acme/settings/members") == shown("/w/globex/settings/members"));
        assert!(shown("/w/acme") == shown("/w/globex"));
        assert!(
            shown("/w/acme/settings/api-keys/key_1") != shown("/w/acme/settings/api-keys/key_2")
        );
        assert!(shown("/w/acme/settings/api-keys") != shown("/w/acme/settings/api-keys/key_2"));
    }
}
