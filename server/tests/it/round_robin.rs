//! Two processes on one database, and a browser without script whose requests go to one and then to the other.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use store::rate_limit::auth::AuthLimits;
use tower::ServiceExt;
use wheelhouse::http;

use crate::both::both;
use crate::support::{Server, context, encode, site, state};

/// Both processes, and whose turn it is.
struct Balanced {
    processes: [Router; 2],
    turn: AtomicUsize,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Balanced {
    async fn new(server: &Server) -> Self {
        let second = context(&server.database, site(), AuthLimits::off()).await;
        Self {
            processes: [server.router.clone(), http::router(state(&second))],
            turn: AtomicUsize::new(0),
        }
    }

    async fn send(&self, request: Request<Body>) -> Answered {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let process = self.processes[turn % 2].clone();
        let response = process.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answered {
            status: head.status,
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

/// A browser without script: it keeps cookies and follows redirects.
struct Browser<'a> {
    site: &'a Balanced,
    cookies: Vec<(String, String)>,
}

impl<'a> Browser<'a> {
    fn new(site: &'a Balanced, server: &Server, who: &str) -> Self {
        let session = server.cookies.get(who);
        let cookies =
            session.map(|cookie| ("wheelhouse_session".to_owned(), cookie.expose().to_owned()));
        Self {
            site,
            cookies: cookies.into_iter().collect(),
        }
    }

    fn take_cookies(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    async fn ask(&mut self, request: axum::http::request::Builder, body: Body) -> Answered {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request
            .header(header::ACCEPT, "text/html")
            .header(header::COOKIE, cookies.join("; "))
            .header("sec-fetch-site", "same-origin");
        let answered = self.site.send(request.body(body).unwrap()).await;
        self.take_cookies(&answered.headers);
        answered
    }

    async fn page(&mut self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..5 {
            let answered = self.ask(Request::get(path.as_str()), Body::empty()).await;
            if !answered.status.is_redirection() {
                return answered.body;
            }
            let next = answered.headers[header::LOCATION].to_str().unwrap();
            next.clone_into(&mut path);
        }
        panic!("led on and on from {path}");
    }

    /// Posts a form and comes to the page that follows it.
    async fn submit(&mut self, function: &str, fields: &[(&str, String)]) -> String {
        let body = encode(fields);
        let request = Request::post(function)
            .header(header::CONTENT_LENGTH, body.len())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answered = self.ask(request, Body::from(body)).await;
        assert_eq!(answered.status, StatusCode::SEE_OTHER, "{}", answered.body);
        let there = answered.headers[header::LOCATION]
            .to_str()
            .unwrap()
            .to_owned();
        self.page(&there).await
    }
}

fn key_in(page: &str) -> Option<String> {
    let start = page.match_indices("wh_test_").map(|(at, _)| at);
    let mut whole = start.filter_map(|at| page.get(at..at + 42));
    let key = whole.find(|text| store::auth::key_token::KeyToken::parse(text).is_ok());
    key.map(str::to_owned)
}

both! {
    async fn a_forms_error_and_what_was_typed_come_back_on_either_process(server) {
        let site = Balanced::new(server).await;
        let mut mia = Browser::new(&site, server, "mia");
        let account = "/w/acme/settings/account";
        // Posted to each of the two, and shown by the other.
        for typed in ["not an address", "nor this one"] {
            let fields = [
                ("_back", account.to_owned()),
                ("form[name]", " ".to_owned()),
                ("form[email]", typed.to_owned()),
            ];
            let page = mia.submit("/fn/save_profile", &fields).await;
            assert!(page.contains("Enter a name"), "{page}");
            assert!(page.contains(&format!("value=\"{typed}\"")));
            assert!(!mia.page(account).await.contains(typed), "once");
            site.turn.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn a_new_api_key_is_shown_exactly_once(server) {
        let site = Balanced::new(server).await;
        for turn in 0..2 {
            let mut adam = Browser::new(&site, server, "adam");
            let fields = [
                ("_back", "/w/acme/settings/api-keys?new=1".to_owned()),
                ("form[workspace]", "acme".to_owned()),
                ("form[name]", format!("Importer {turn}")),
                ("form[mode]", "test".to_owned()),
                ("form[scopes][]", "contacts:read".to_owned()),
            ];
            let page = adam.submit("/fn/create_api_key", &fields).await;
            assert!(key_in(&page).is_some(), "{page}");
            for _ in 0..2 {
                assert_eq!(key_in(&adam.page("/w/acme/settings/api-keys").await), None);
            }
            site.turn.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn an_answer_is_for_the_browser_that_posted(server) {
        let site = Balanced::new(server).await;
        let mut adam = Browser::new(&site, server, "adam");
        let body = encode(&[
            ("_back", "/w/acme/settings/account".to_owned()),
            ("form[name]", "Adam".to_owned()),
            ("form[email]", "typed by Adam".to_owned()),
        ]);
        let request = Request::post("/fn/save_profile")
            .header(header::CONTENT_LENGTH, body.len())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        assert_eq!(adam.ask(request, Body::from(body)).await.status, 303);
        let mut elsewhere = Browser::new(&site, server, "adam");
        for _ in 0..2 {
            assert!(!elsewhere.page("/w/acme/settings/account").await.contains("typed by Adam"));
        }
        assert!(adam.page("/w/acme/settings/account").await.contains("typed by Adam"));
    }

    async fn signing_in_works_across_processes(server) {
        let site = Balanced::new(server).await;
        let mut visitor = Browser::new(&site, server, "nobody");
        let fields = |password: &str| {
            [
                ("_back", "/login".to_owned()),
                ("form[email]", "olivia@acme.example".to_owned()),
                ("form[password]", password.to_owned()),
            ]
        };
        let page = visitor.submit("/fn/sign_in", &fields("a wrong password")).await;
        assert!(page.contains("value=\"olivia@acme.example\""), "{page}");
        assert!(page.contains("Incorrect email or password"), "{page}");
        let page = visitor.submit("/fn/sign_in", &fields(store::demo::PASSWORD)).await;
        assert!(page.contains("Olivia"), "{page}");
    }
}
