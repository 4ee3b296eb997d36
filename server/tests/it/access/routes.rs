//! Other routes and addresses: who may post there, how much, and which words no workspace can take.

use std::collections::BTreeSet;

use app::pages::PAGES;
use domain::{Slug, SlugError};
use wheelhouse::http::ROUTES;

use super::{CALLERS, Names, server, template};
use crate::support::{Kind, site};

/// A workspace is at `/w/…` today. Its address must not be the first word of any other of ours, so that it can stand
/// alone one day, and so that nobody takes `/w/login` for what it is not.
#[test]
fn no_workspace_has_an_address_of_ours() {
    let mut words: BTreeSet<String> = PAGES
        .iter()
        .map(|page| page.path.to_owned())
        .chain(server_fn::axum::server_fn_paths().map(|(path, _)| path.to_owned()))
        .chain(["/live", "/healthz", "/readyz", "/pkg", "/unsubscribe"].map(str::to_owned))
        .filter_map(|path| path.split('/').nth(1).map(str::to_owned))
        .collect();
    words.retain(|word| !word.is_empty());
    assert!(words.len() > 12, "{words:?}");
    for word in words {
        let refused = Slug::parse(&word);
        assert!(
            matches!(refused, Err(SlugError::Reserved | SlugError::TooShort)),
            "{word}: {refused:?}"
        );
    }
}

/// What is posted neither to a server function nor from a page of ours: by mail programs, and by whoever collects the
/// money. No cookie matters there.
#[tokio::test(flavor = "multi_thread")]
async fn every_other_post() {
    let template = template(Kind::Sqlite).await;
    let posts: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.method != "GET")
        .map(|route| route.path)
        .collect();
    assert_eq!(
        posts,
        ["/unsubscribe/{token}", "/stripe/webhook"],
        "every such route is called below"
    );
    for caller in CALLERS {
        let server = server(&template, caller).await;
        let token = Names::find_again(&server, &template, caller)
            .await
            .unsubscribe;
        let forged = format!("{token}x");
        for (token, status) in [(token, 200), ("nonsense".to_owned(), 404), (forged, 404)] {
            let fields = [("List-Unsubscribe", "One-Click".to_owned())];
            let path = format!("/unsubscribe/{token}");
            let answer = server.call(caller, &path, &fields).await;
            assert_eq!(answer.status, status, "{path} as {caller}");
        }
        let answer = server.call(caller, "/stripe/webhook", &[]).await;
        assert_eq!(answer.status, 400, "nothing unsigned, from {caller}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_the_demos_alone() {
    let template = template(Kind::Sqlite).await;
    let ctx = store::context::Site {
        demo: false,
        ..site()
    };
    let server = template
        .copy_as(ctx, store::rate_limit::auth::AuthLimits::off())
        .await;
    for caller in ["nobody", "olivia"] {
        assert_eq!(server.page(caller, "/outbox").await.status, 404, "{caller}");
        let answer = server.call(caller, "/fn/load_outbox", &[]).await;
        assert_eq!(answer.status, 404, "{caller}");
    }
}

/// Nobody sends us more than a form holds.
#[tokio::test(flavor = "multi_thread")]
async fn every_post_has_a_largest_body() {
    let server = template(Kind::Sqlite).await.copy().await;
    let functions = server_fn::axum::server_fn_paths().map(|(path, _)| path.to_owned());
    let others = ROUTES
        .iter()
        .filter(|route| route.method != "GET")
        .map(|route| route.path.replace("{token}", "nonsense"));
    let large = [("form[name]", "x".repeat(300 * 1024))];
    for path in functions.chain(others) {
        let answer = server.call("olivia", &path, &large).await;
        assert_eq!(answer.status, 413, "{path}");
    }
}
