//! Cookies: what a session cookie carries, and what changes by https.

use axum::http::{StatusCode, header};
use store::demo::PASSWORD;
use store::rate_limit::auth::AuthLimits;

use super::sign_in_fields;
use crate::both::both;
use crate::support::{Kind, Template, site};

both! {
    async fn a_session_cookie_is_for_the_server_alone(server) {
        let answer = server
            .call("nobody", "/fn/sign_in", &sign_in_fields(PASSWORD))
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        let cookie = answer
            .headers
            .get(header::SET_COOKIE)
            .unwrap()
            .to_str()
            .unwrap();
        assert!(
            cookie.starts_with("wheelhouse_session=") && cookie.contains("; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        assert!(!cookie.contains("Secure"), "plain http");
        assert!(
            !answer
                .body
                .contains(&answer.cookie("wheelhouse_session").unwrap())
        );
    }
}

/// Settings that an operator who serves by https has.
fn by_https() -> store::context::Site {
    store::context::Site {
        public_url: "https://settings.example".into(),
        ..site()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_https_cookies_are_secure_and_bound_to_the_host() {
    let template = Template::new(Kind::Sqlite).await;
    let server = template.copy_as(by_https(), AuthLimits::off()).await;
    let answer = server
        .call("nobody", "/fn/sign_in", &sign_in_fields(PASSWORD))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("strict-transport-security"),
        "max-age=31536000"
    );
    let cookie = answer.header("set-cookie");
    assert!(
        cookie.starts_with("__Host-wheelhouse_session=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    assert!(cookie.contains("; Path=/;") && !cookie.contains("Domain"));
    let page = server.page("mia", "/w/acme/inbox").await;
    assert_eq!(page.status, StatusCode::OK, "and is read by that name");

    let fields = [("_back", "/w/acme/settings/account".to_owned())];
    let posted = server.submit("mia", "/fn/save_profile", &fields).await;
    let flash = posted.header("set-cookie");
    assert!(
        flash.starts_with("__Host-wheelhouse_flash=") && flash.contains("; Secure"),
        "{flash}"
    );
    let plain = Template::new(Kind::Sqlite).await.copy().await;
    let page = plain.page("mia", "/login").await;
    assert_eq!(page.header("strict-transport-security"), "");
}
