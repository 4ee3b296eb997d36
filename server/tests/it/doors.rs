//! What guards the doors: origin, content types, sizes, cookies, headers, redirects, limits; and forms without script.

use app::db::seed::PASSWORD;
use app::limits::Limits;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use crate::support::{Folder, ORIGIN, Server, encode, house, router};

fn sign_in_fields(password: &str) -> Vec<(&'static str, String)> {
    vec![
        ("form[email]", "mia@acme.example".into()),
        ("form[password]", password.into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_changes_nothing() {
    let server = Server::new().await;
    let body = encode(&[
        ("form[name]", "Mallory".into()),
        ("form[email]", "mia@acme.example".into()),
    ]);
    let attempt = |headers: Vec<(&'static str, &'static str)>| {
        let cookie = format!("wheelhouse_session={}", server.cookies["mia"].expose());
        let mut request = Request::post("/fn/save_profile")
            .header(header::COOKIE, cookie)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        server.send(request.body(Body::from(body.clone())).unwrap())
    };
    assert_eq!(attempt(vec![]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        attempt(vec![("origin", "https://evil.example")])
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        attempt(vec![("sec-fetch-site", "cross-site"), ("origin", ORIGIN)])
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        attempt(vec![("sec-fetch-site", "same-site")]).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        attempt(vec![("origin", ORIGIN)]).await.status,
        StatusCode::OK
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_by_get_and_only_forms_are_read() {
    let server = Server::new().await;
    let get = server.page("mia", "/fn/sign_out").await;
    assert!(get.status.is_client_error(), "{}", get.status);
    assert_eq!(
        server.call("mia", "/fn/load_account", &[]).await.status,
        StatusCode::OK,
        "still signed in"
    );
    for kind in [
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
    ] {
        let request = Request::post("/fn/save_profile")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from("form[name]=x"))
            .unwrap();
        assert_eq!(
            server.send(request).await.status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{kind}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_limited_and_nonsense_is_a_bad_request() {
    let server = Server::new().await;
    let large = vec![("form[name]", "x".repeat(300 * 1024))];
    assert_eq!(
        server.call("mia", "/fn/save_profile", &large).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let twice = vec![("workspace", "a".to_owned()), ("workspace", "b".to_owned())];
    assert_eq!(
        server
            .call("mia", "/fn/load_workspace", &twice)
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        server
            .call("mia", "/fn/save_profile", &[("form", "abc".into())])
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        server.call("mia", "/fn/save_profile", &[]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert!(
        server
            .call("mia", "/fn/no_such_function", &[])
            .await
            .status
            .is_client_error()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_carries_its_headers() {
    let server = Server::new().await;
    let page = server.page("olivia", "/w/acme/settings/account").await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.header("content-security-policy");
    for part in [
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "'strict-dynamic' 'nonce-",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    assert!(
        page.body.contains(&format!("nonce=\"{nonce}\"")),
        "the page's scripts carry the nonce"
    );
    let again = server.page("olivia", "/w/acme/settings/account").await;
    assert!(
        !again.header("content-security-policy").contains(nonce),
        "a nonce is used once"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "strict-origin");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(!page.header("x-request-id").is_empty());
    assert!(
        !page.body.contains(" style=\""),
        "the policy forbids inline styles"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cookie_is_for_the_server_alone() {
    let server = Server::new().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_script_comes_back_with_its_errors_and_what_was_typed() {
    let server = Server::new().await;
    let path = "/w/acme/settings/account";
    let fields = [
        ("_back", path.to_owned()),
        ("_form", String::new()),
        ("form[name]", " ".to_owned()),
        ("form[email]", "not an address".to_owned()),
        ("form[current_password]", "my secret".to_owned()),
    ];
    let posted = server.submit("mia", "/fn/save_profile", &fields).await;
    assert_eq!(
        (posted.status, posted.header("location")),
        (StatusCode::SEE_OTHER, path)
    );
    let flash = format!(
        "wheelhouse_flash={}",
        posted.cookie("wheelhouse_flash").unwrap()
    );
    let page = server.page_with("mia", path, &flash).await;
    assert!(
        page.body.contains("Enter a name"),
        "the error stands on the page"
    );
    assert!(
        page.body
            .contains("Enter an email address like name@example.com")
    );
    assert!(
        page.body.contains("value=\"not an address\""),
        "what was typed is still there"
    );
    assert_eq!(
        page.body.matches(" autofocus").count(),
        1,
        "the page begins at the first bad field"
    );
    assert!(!page.body.contains("my secret"), "a password is not");
    assert_eq!(
        page.cookie("wheelhouse_flash").as_deref(),
        Some(""),
        "and it is over"
    );
    let later = server.page_with("mia", path, &flash).await;
    assert!(!later.body.contains("not an address"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_script_says_that_it_was_saved() {
    let server = Server::new().await;
    let path = "/w/acme/settings/account";
    let fields = [
        ("_back", path.to_owned()),
        ("form[name]", "Mia M.".to_owned()),
        ("form[email]", "mia@acme.example".to_owned()),
    ];
    let posted = server.submit("mia", "/fn/save_profile", &fields).await;
    let flash = format!(
        "wheelhouse_flash={}",
        posted.cookie("wheelhouse_flash").unwrap()
    );
    let page = server.page_with("mia", path, &flash).await;
    assert!(page.body.contains("Changes saved"));
    assert!(page.body.contains("value=\"Mia M.\""));
}

/// The page that follows a form that was posted without script.
async fn answer_to(
    server: &Server,
    action: &str,
    path: &str,
    fields: &[(&'static str, String)],
) -> String {
    let mut fields = fields.to_vec();
    fields.push(("_back", path.to_owned()));
    let posted = server.submit("mia", action, &fields).await;
    let flash = posted.cookie("wheelhouse_flash").unwrap();
    let flash = format!("wheelhouse_flash={flash}");
    server.page_with("mia", path, &flash).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_without_script_says_what_became_of_it() {
    let server = Server::new().await;
    let path = "/w/acme/settings/notifications";
    let fields = |switch: &str| {
        [
            ("_form", switch.to_owned()),
            ("switch", switch.to_owned()),
            ("on", "false".to_owned()),
        ]
    };
    let page = answer_to(
        &server,
        "/fn/set_notification",
        path,
        &fields("billing.email"),
    )
    .await;
    assert!(page.contains("Billing: Email is off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_field_is_said_there_and_where_there_is_none_by_the_form() {
    let server = Server::new().await;
    let shown = answer_to(
        &server,
        "/fn/save_profile",
        "/w/acme/settings/account",
        &[("form[name]", "Mia".into()), ("form[email]", "x".into())],
    )
    .await;
    assert!(shown.contains("Enter an email address like name@example.com"));
    assert!(!shown.contains("role=\"alert\""), "once");
    // The form of an address that was given up has no field for it.
    let fields = [
        ("form[workspace]", "acme".to_owned()),
        ("form[slug]", "acme-orbit".to_owned()),
    ];
    let moved = server
        .submit("adam", "/fn/update_workspace_url", &fields)
        .await;
    assert_eq!(moved.header("location"), "/w/acme-orbit/settings/workspace");
    let path = "/w/acme-orbit/settings/workspace";
    let fields = [
        ("_back", path.to_owned()),
        ("_form", "acme".to_owned()),
        ("form[workspace]", "acme-orbit".to_owned()),
        ("form[slug]", "globex".to_owned()),
    ];
    let posted = server
        .submit("adam", "/fn/update_workspace_url", &fields)
        .await;
    let flash = format!(
        "wheelhouse_flash={}",
        posted.cookie("wheelhouse_flash").unwrap()
    );
    let page = server.page_with("adam", path, &flash).await;
    let alert = page.body.split("role=\"alert\"").nth(1).unwrap_or_default();
    assert!(alert.contains("This URL is taken"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_is_a_page_of_its_own() {
    let server = Server::new().await;
    for path in [
        "/w/acme",
        "/invite/none",
        "/unsubscribe/none",
        "/no/such/page",
    ] {
        let page = server.page("greta", path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(page.body.matches("<main").count(), 1, "{path}");
        assert!(page.body.contains("<title>Page not found"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_elsewhere() {
    let server = Server::new().await;
    for evil in [
        "https://evil.example/x",
        "//evil.example",
        "/\\evil.example",
        "/x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
    ] {
        let answer = server
            .submit(
                "mia",
                "/fn/sign_out",
                &[("_back", evil.into()), ("next", evil.into())],
            )
            .await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (StatusCode::SEE_OTHER, "/"),
            "{evil}"
        );
        let mut fields = sign_in_fields(PASSWORD);
        fields.push(("form[next]", evil.into()));
        let answer = server.submit("nobody", "/fn/sign_in", &fields).await;
        assert_eq!(answer.header("location"), "/", "{evil}");
    }
    let request = Request::post("/fn/mark_all_read")
        .header(header::ACCEPT, "text/html")
        .header("sec-fetch-site", "same-origin")
        .header(header::REFERER, "https://evil.example/x")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("workspace=acme"))
        .unwrap();
    assert_eq!(server.send(request).await.header("location"), "/");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let folder = Folder::new();
    let house = house(&folder.path().join("limited.db"), Limits::on()).await;
    app::db::seed::demo(&house).await.unwrap();
    let router = router(&house);
    let mut statuses = Vec::new();
    for n in 0..12 {
        let request = Request::post("/fn/sign_in")
            .header("sec-fetch-site", "same-origin")
            // A forged header must not make each attempt look like another's.
            .header("x-forwarded-for", format!("203.0.113.{n}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(&sign_in_fields("wrong"))))
            .unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), request)
            .await
            .unwrap();
        statuses.push((
            response.status().as_u16(),
            response.headers().contains_key(header::RETRY_AFTER),
        ));
    }
    assert_eq!(statuses[0], (422, false));
    assert_eq!(statuses[11], (429, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_says_how_it_is() {
    let server = Server::new().await;
    assert_eq!(server.page("nobody", "/healthz").await.body, "ok");
    assert_eq!(server.page("nobody", "/readyz").await.body, "ready");
}
