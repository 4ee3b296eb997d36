//! API keys without script, and what must not be found anywhere.

use axum::http::StatusCode;
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use crate::support::{Answer, Kind, Server};

const LIST: &str = "/w/acme/settings/api-keys";
const NEW: &str = "/w/acme/settings/api-keys?new=1";

/// The page that follows a form posted without script, with the answer that waits for it.
async fn next_page(server: &Server, who: &str, posted: &Answer) -> Answer {
    assert_eq!(posted.status, StatusCode::SEE_OTHER, "{}", posted.body);
    let flash = posted.cookie("wheelhouse_flash").unwrap();
    server
        .page_with(
            who,
            posted.header("location"),
            &format!("wheelhouse_flash={flash}"),
        )
        .await
}

fn form(workspace: &str, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("_back", NEW.to_owned()),
        ("_form", String::new()),
        ("form[workspace]", workspace.to_owned()),
        ("form[name]", "Importer".to_owned()),
        ("form[mode]", "test".to_owned()),
    ];
    fields.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    fields
}

/// The key that a page shows, if it shows a whole one.
fn key_in(page: &str) -> Option<&str> {
    let start = page.match_indices("wh_test_").map(|(at, _)| at);
    let mut whole = start.filter_map(|at| page.get(at..at + 42));
    whole.find(|text| store::auth::key_token::KeyToken::parse(text).is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_a_new_key_is_shown_on_one_page_and_never_again() {
    let server = Server::new(Kind::Sqlite).await;
    let fields = form("acme", &[("form[scopes][]", "contacts:read")]);
    let posted = server.submit("adam", "/fn/create_api_key", &fields).await;
    assert_eq!(posted.header("location"), LIST);
    assert_eq!(
        key_in(&format!("{:?} {}", posted.headers, posted.body)),
        None
    );
    let page = next_page(&server, "adam", &posted).await;
    let key = key_in(&page.body)
        .expect("the key stands on the page")
        .to_owned();
    assert!(page.header("cache-control").contains("no-store"));
    let again = next_page(&server, "adam", &posted).await;
    assert!(!again.body.contains(&key), "one look");
    assert!(!server.page("olivia", LIST).await.body.contains(&key));

    let row = entity::ApiKey::find()
        .filter(entity::api_key::Column::Name.eq("Importer"))
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    assert!(key.starts_with(&row.token_start) && key.ends_with(&row.token_end));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_select_all_brings_the_form_back_with_all_checked() {
    let server = Server::new(Kind::Sqlite).await;
    let fields = form("acme", &[("form[select]", "all")]);
    let posted = server.submit("adam", "/fn/create_api_key", &fields).await;
    assert_eq!(posted.header("location"), NEW);
    let page = next_page(&server, "adam", &posted).await.body;
    let boxes = page.matches("type=\"checkbox\"").count();
    let checked = page
        .split("<input")
        .filter(|input| input.contains("type=\"checkbox\""))
        .filter(|input| input.split('>').next().unwrap().contains(" checked"))
        .count();
    assert_eq!((boxes, checked), (27, 27));
    assert!(
        page.contains("value=\"Importer\""),
        "what was typed is still there"
    );
    assert!(!page.contains("class=\"form-error\"") && !page.contains("class=\"field-error\""));

    let fields = form(
        "acme",
        &[
            ("form[scopes][]", "lists:write"),
            ("form[select]", "messaging"),
        ],
    );
    let posted = server.submit("adam", "/fn/create_api_key", &fields).await;
    let page = next_page(&server, "adam", &posted).await.body;
    for (scope, expected) in [
        ("contacts:read", true),
        ("lists:write", true),
        ("lists:read", false),
    ] {
        let input = page
            .split("<input")
            .find(|input| input.contains(&format!("value=\"{scope}\"")))
            .unwrap();
        let checked = input.split('>').next().unwrap().contains(" checked");
        assert_eq!(checked, expected, "{scope}");
    }
    let made = entity::ApiKey::find()
        .filter(entity::api_key::Column::Name.eq("Importer"))
        .one(server.ctx.db().read())
        .await
        .unwrap();
    assert!(made.is_none(), "no key was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_a_refused_dialog_stands_open_with_its_error() {
    let server = Server::new(Kind::Sqlite).await;
    let key = entity::ApiKey::find()
        .filter(entity::api_key::Column::Name.eq("Website form"))
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    let fields = [
        ("_back", LIST.to_owned()),
        ("_form", key.id.to_string()),
        ("form[workspace]", "acme".to_owned()),
        ("form[key]", key.id.to_string()),
        ("form[name]", "Website".to_owned()),
    ];
    let posted = server.submit("adam", "/fn/revoke_api_key", &fields).await;
    let page = next_page(&server, "adam", &posted).await.body;
    let dialog = page
        .split("<div class=\"dialog\"")
        .find(|part| part.contains(&format!("id=\"revoke-{}\"", key.id)))
        .unwrap();
    assert!(!dialog.split('>').next().unwrap().contains("popover"));
    assert!(dialog.contains("This name doesn"));
    assert!(dialog.contains("value=\"Website\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_gets_the_key_in_the_answer_and_nobody_a_form_made_of_nonsense() {
    let server = Server::new(Kind::Sqlite).await;
    let fields = form(
        "acme",
        &[("form[scopes][]", "contacts:read"), ("form[expiry]", "30")],
    );
    let answer = server.call("adam", "/fn/create_api_key", &fields).await;
    assert_eq!(answer.status, 200);
    assert!(key_in(&answer.body).is_some());
    assert!(answer.header("cache-control").contains("no-store"));
    let bad = form(
        "acme",
        &[("form[scopes][]", "everything"), ("form[networks]", "here")],
    );
    let answer = server.call("adam", "/fn/create_api_key", &bad).await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("scopes"));
}
