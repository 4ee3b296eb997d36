//! What guards the doors: origin, content types, sizes, cookies, headers, redirects, limits; and forms without script.

mod cookies;
mod forms;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use store::demo::PASSWORD;
use store::rate_limit::auth::AuthLimits;

use crate::both::both;
use crate::support::{Kind, ORIGIN, Server, Template, encode, site};

fn sign_in_fields(password: &str) -> Vec<(&'static str, String)> {
    vec![
        ("form[email]", "mia@acme.example".into()),
        ("form[password]", password.into()),
    ]
}

both! {
    async fn a_page_of_another_build_changes_nothing(server) {
        let slug = "acme";
        let named = |server: &Server, build: Option<&'static str>, name: &str| {
            let body = encode(&[
                ("form[workspace]", slug.into()),
                ("form[name]", name.to_owned()),
            ]);
            let cookie = format!("wheelhouse_session={}", server.cookies["adam"].expose());
            let mut request = Request::post("/fn/rename_workspace")
                .header(header::COOKIE, cookie)
                .header(header::ORIGIN, ORIGIN)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            if let Some(build) = build {
                request = request.header(app::rpc::BUILD_HEADER, build);
            }
            request.body(Body::from(body)).unwrap()
        };
        let refused = server.send(named(server, Some("00000000"), "Outdated")).await;
        assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(refused.body, "A new version is available. Reload.");
        let page = server.page("adam", "/w/acme/settings/workspace").await.body;
        assert!(!page.contains("Outdated"));
        // A page of this build, and a form without JavaScript, which sends no header.
        for (build, name) in [(Some(app::rpc::BUILD), "Current"), (None, "Scriptless")] {
            assert_eq!(server.send(named(server, build, name)).await.status, StatusCode::OK);
            let page = server.page("adam", "/w/acme/settings/workspace").await.body;
            assert!(page.contains(name));
        }
    }

    async fn another_sites_page_changes_nothing(server) {
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

    async fn nothing_changes_by_get_and_only_forms_are_read(server) {
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

    async fn bodies_are_limited_and_nonsense_is_a_bad_request(server) {
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

    async fn every_page_carries_its_headers(server) {
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

    async fn an_error_page_is_a_page_of_its_own(server) {
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

    async fn nobody_is_sent_elsewhere(server) {
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
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let template = Template::new(Kind::Sqlite).await;
    let server = template.copy_as(site(), AuthLimits::on()).await;
    let mut statuses = Vec::new();
    for n in 0..12 {
        let request = Request::post("/fn/sign_in")
            .header("sec-fetch-site", "same-origin")
            // A forged header must not make each attempt look like another's.
            .header("x-forwarded-for", format!("203.0.113.{n}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(encode(&sign_in_fields("wrong"))))
            .unwrap();
        let answer = server.send(request).await;
        statuses.push((
            answer.status.as_u16(),
            answer.headers.contains_key(header::RETRY_AFTER),
        ));
    }
    assert_eq!(statuses[0], (422, false));
    assert_eq!(statuses[11], (429, true));
}

both! {
    async fn the_process_says_how_it_is(server) {
        assert_eq!(server.page("nobody", "/healthz").await.body, "ok");
        assert_eq!(server.page("nobody", "/readyz").await.body, "ready");
    }

    async fn what_an_operator_watches(server) {
        server.page("nobody", "/login").await;
        let text = server.page("nobody", "/metrics").await.body;
        for name in [
            "wheelhouse_http_requests_total{class=\"2xx\"} ",
            "wheelhouse_http_request_duration_seconds_bucket{le=\"+Inf\"} ",
            "wheelhouse_events_pending ",
            "wheelhouse_emails_pending ",
            "wheelhouse_live_streams 0",
            "process_resident_memory_bytes ",
        ] {
            assert!(text.contains(name), "{name} in\n{text}");
        }
        assert!(!text.contains("acme"), "nothing of anybody");
        let far = |headers: &[(&'static str, &'static str)]| {
            let mut request = Request::get("/metrics");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut request = request.body(Body::empty()).unwrap();
            let peer: std::net::SocketAddr = "127.0.0.1:4000".parse().unwrap();
            request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
            server.send(request)
        };
        assert_eq!(far(&[]).await.status, 200);
        assert_eq!(far(&[("x-forwarded-for", "203.0.113.9")]).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_asked_for_too_often_says_when_to_come_again() {
    let template = Template::new(Kind::Sqlite).await;
    let server = template.copy_as(site(), AuthLimits::on()).await;
    for _ in 0..500 {
        let page = server.page("nobody", "/reset-password/nonsense").await;
        if page.status == StatusCode::TOO_MANY_REQUESTS {
            let wait: u64 = page.header("retry-after").parse().unwrap();
            assert!(wait > 0);
            return;
        }
    }
    panic!("nobody was slowed down");
}

/// Statuses and cookies of pages travel through Leptos's response options: none may be lost when much is going on.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn under_load_every_answer_has_its_status_and_its_cookie() {
    let server = Server::new(Kind::Sqlite).await;
    let fields = sign_in_fields(PASSWORD);
    let sign_ins = (0..200).map(|_| async {
        let answer = server.call("nobody", "/fn/sign_in", &fields).await;
        (
            answer.status.as_u16(),
            answer.cookie("wheelhouse_session").is_some(),
        )
    });
    let missing = (0..200).map(|n| {
        let path = format!("/w/acme/no-such-page-{n}");
        let server = &server;
        async move { server.page("mia", &path).await.status.as_u16() }
    });
    let elsewhere = (0..200).map(|_| async {
        let answer = server.page("nobody", "/w/acme/inbox").await;
        (
            answer.status.as_u16(),
            answer.header("location").starts_with("/login?next="),
        )
    });
    let (sign_ins, missing, elsewhere) = tokio::join!(
        futures::future::join_all(sign_ins),
        futures::future::join_all(missing),
        futures::future::join_all(elsewhere)
    );
    assert_eq!(sign_ins, [(200, true); 200]);
    assert_eq!(missing, [404; 200]);
    assert_eq!(elsewhere, [(302, true); 200]);
}
