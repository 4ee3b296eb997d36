//! What one caller of the public API can make expensive, and that nobody else pays for it.

use domain::catalog::Mode;
use serde_json::{Value, json};
use store::auth::key_token::KeyToken;
use store::rate_limit::auth::AuthLimits;

use crate::api::{ACME, Key, ask, get, make_key, post, problem};
use crate::support::{Answer, Kind, Server, Template, site};

/// A well-written key that nobody made.
fn invented() -> Key {
    let token = KeyToken::generate(Mode::Live);
    Key {
        id: domain::ApiKeyId::new(),
        token: token.secret().expose().to_owned(),
    }
}

async fn limited(kind: Kind) -> Server {
    Template::new(kind)
        .await
        .copy_as(site(), AuthLimits::on())
        .await
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

async fn asking_about_invented_keys_blocks_nobody(kind: Kind) {
    let server = limited(kind).await;
    let product = make_key(&server.ctx, ACME).await;
    let verify = |key: &Key, address: &str| {
        post(
            "/keys/verify",
            json!({"key": key.token, "address": address}),
        )
    };
    for n in 0..100 {
        // The address of the tests' own client, among others.
        let address = if n % 2 == 0 {
            "127.0.0.1"
        } else {
            "203.0.113.9"
        };
        let answer = ask(&server, &product, verify(&invented(), address)).await;
        assert_eq!(
            (answer.status.as_u16(), &body(&answer)["reason"]),
            (200, &json!("unknown"))
        );
    }
    // Keys that nothing remembers yet: one shown from that address, and one asked about.
    let (shown, asked) = (
        make_key(&server.ctx, ACME).await,
        make_key(&server.ctx, ACME).await,
    );
    assert_eq!(ask(&server, &shown, get("/me")).await.status, 200);
    let answer = ask(&server, &product, verify(&asked, "203.0.113.9")).await;
    assert_eq!(body(&answer)["valid"], true, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_about_invented_keys_blocks_nobody_on_sqlite() {
    asking_about_invented_keys_blocks_nobody(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_about_invented_keys_blocks_nobody_on_postgres() {
    asking_about_invented_keys_blocks_nobody(Kind::Postgres).await;
}

async fn a_valid_key_is_never_refused_for_a_neighbors_guesses(kind: Kind) {
    let server = limited(kind).await;
    let mut last = None;
    for _ in 0..100 {
        last = Some(ask(&server, &invented(), get("/me")).await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, 429, "whoever guesses is refused in the end");
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    problem(&last);
    for _ in 0..5 {
        // Nothing remembers this key: it has to be looked up, from the same address.
        let key = make_key(&server.ctx, ACME).await;
        assert_eq!(ask(&server, &key, get("/me")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_key_is_never_refused_for_a_neighbors_guesses_on_sqlite() {
    a_valid_key_is_never_refused_for_a_neighbors_guesses(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_key_is_never_refused_for_a_neighbors_guesses_on_postgres() {
    a_valid_key_is_never_refused_for_a_neighbors_guesses(Kind::Postgres).await;
}

async fn search_parameters_are_counted_once_and_capped(kind: Kind) {
    let server = Template::new(kind).await.copy().await;
    let key = make_key(&server.ctx, ACME).await;
    let search = async |tags: Vec<String>| {
        let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
        let path = format!("/contacts/search?{}", query.join("&"));
        ask(&server, &key, get(&path)).await
    };
    let several = |n: usize| (0..n).map(|n| format!("t{n}")).collect::<Vec<_>>();
    assert_eq!(search(several(10)).await.status, 200);
    let too_many = search(several(11)).await;
    assert_eq!(too_many.status, 422);
    assert!(problem(&too_many)["errors"]["tag"].is_string());
    let repeated = vec!["vip".to_owned(); 90];
    assert_eq!(search(repeated).await.status, 200, "one tag, said often");
    let padded = (1..20).map(|n| format!("{}vip", "+".repeat(n))).collect();
    assert_eq!(search(padded).await.status, 422, "as they are sent");
    assert!(search(several(900)).await.status.is_client_error());
    let stages = "stage=won&".repeat(50);
    let stages = ask(&server, &key, get(&format!("/contacts/search?{stages}"))).await;
    assert_eq!(stages.status, 200);
    let scopes = "scope=lists:read&".repeat(50);
    let may = ask(&server, &key, get(&format!("/authorize?{scopes}"))).await;
    assert_eq!(may.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_parameters_are_counted_once_and_capped_on_sqlite() {
    search_parameters_are_counted_once_and_capped(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_parameters_are_counted_once_and_capped_on_postgres() {
    search_parameters_are_counted_once_and_capped(Kind::Postgres).await;
}
