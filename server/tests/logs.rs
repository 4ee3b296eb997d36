//! No secret stands in any log line, at any level: they are sent through real requests, and everything that anybody
//! logs meanwhile is searched. A program of its own, since the whole process has one logger.

#[path = "it/support.rs"]
#[expect(dead_code, reason = "this test needs a part of what the others share")]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use store::auth::links::{LinkChannel, invitation_token};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use store::demo::PASSWORD;
use support::{Kind, Server, config};
use tracing_subscriber::util::SubscriberInitExt;
use wheelhouse::serve;
use wheelhouse::work::dispatch::dispatch_all;

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// The token in the latest letter that has a link to `path`.
async fn mailed(server: &Server, path: &str) -> String {
    let letters = entity::OutboxEmail::find()
        .order_by_desc(entity::outbox_email::Column::Id)
        .all(server.ctx.db().read())
        .await
        .unwrap();
    let text = letters
        .iter()
        .filter_map(|letter| store::email::decrypt(&server.ctx, letter))
        .map(|contents| contents.text)
        .find(|text| text.contains(path))
        .unwrap_or_else(|| panic!("a letter with {path}"));
    let start = text.rfind(path).unwrap() + path.len();
    text[start..].split_whitespace().next().unwrap().to_owned()
}

/// The secrets that were sent.
struct Planted(Vec<String>);

impl Planted {
    fn plant(&mut self, secret: &str) -> String {
        self.0.push(secret.to_owned());
        secret.to_owned()
    }
}

fn field(name: &'static str, value: &str) -> (&'static str, String) {
    (name, value.to_owned())
}

/// Sends secrets wherever secrets go, rightly and wrongly, and says which they were.
async fn use_secrets(server: &Server) -> Vec<String> {
    let mut planted = Planted(vec![PASSWORD.to_owned()]);
    for cookie in server.cookies.values() {
        planted.plant(cookie.expose());
    }
    sign_in_and_up(server, &mut planted).await;
    reset(server, &mut planted).await;
    accept(server, &mut planted).await;
    confirm_by_password(server, &mut planted).await;

    // What another site's page sends is refused with a line in the log.
    let token = planted.plant("planted-token-of-a-forged-request");
    let forged = http::Request::post(format!("/reset-password/{token}"))
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(server.send(forged).await.status, 403);
    dispatch_all(&server.ctx).await.unwrap();
    planted.0
}

async fn sign_in_and_up(server: &Server, planted: &mut Planted) {
    let signed_in = [
        field("form[email]", "mia@acme.example"),
        field("form[password]", PASSWORD),
    ];
    let answer = server.call("nobody", "/fn/sign_in", &signed_in).await;
    assert_eq!(answer.status, 200);
    planted.plant(&answer.cookie("wheelhouse_session").unwrap());
    let wrong = planted.plant("wrong planted password one");
    let refused = [
        field("form[email]", "mia@acme.example"),
        field("form[password]", &wrong),
    ];
    for post in ["application/json", "text/html"] {
        let answer = if post == "text/html" {
            server.submit("nobody", "/fn/sign_in", &refused).await
        } else {
            server.call("nobody", "/fn/sign_in", &refused).await
        };
        assert!(!answer.status.is_success());
    }

    let new = planted.plant("planted teapots of seven colours");
    let fields = [
        field("form[name]", "Zoe"),
        field("form[email]", "zoe@new.example"),
        field("form[password]", &new),
        field("form[workspace]", "Zoe"),
    ];
    let answer = server.call("nobody", "/fn/sign_up", &fields).await;
    assert_eq!(answer.status, 200);
    planted.plant(&answer.cookie("wheelhouse_session").unwrap());
    let token = planted.plant(&mailed(server, "/confirm-email/").await);
    server
        .page("nobody", &format!("/confirm-email/{token}"))
        .await;
    let confirmed = [field("form[token]", &token)];
    let answer = server.call("nobody", "/fn/confirm_email", &confirmed).await;
    assert_eq!(answer.status, 200);
    server.call("nobody", "/fn/confirm_email", &confirmed).await;
}

async fn reset(server: &Server, planted: &mut Planted) {
    let forgot = [field("form[email]", "cleo@acme.example")];
    server
        .call("nobody", "/fn/request_password_reset", &forgot)
        .await;
    let token = planted.plant(&mailed(server, "/reset-password/").await);
    server
        .page("nobody", &format!("/reset-password/{token}"))
        .await;
    let changed = planted.plant("planted kettles of eight sizes");
    let other = planted.plant("planted mistyped kettles");
    for confirm in [&other, &changed] {
        let fields = [
            field("form[token]", &token),
            field("form[password]", &changed),
            field("form[confirm]", confirm),
        ];
        server.call("nobody", "/fn/reset_password", &fields).await;
    }
}

async fn accept(server: &Server, planted: &mut Planted) {
    let invitation = entity::Invitation::find()
        .filter(entity::invitation::Column::Email.eq("ben@acme.example"))
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    let (id, generation) = (invitation.id, invitation.generation);
    let token = planted.plant(&invitation_token(
        &server.ctx,
        id,
        generation,
        LinkChannel::Email,
    ));
    server.page("nobody", &format!("/invite/{token}")).await;
    let accepted = [
        field("form[token]", &token),
        field("form[name]", "Ben"),
        field(
            "form[password]",
            &planted.plant("planted samovars of nine cities"),
        ),
    ];
    let answer = server
        .call("nobody", "/fn/accept_invitation", &accepted)
        .await;
    assert_eq!(answer.status, 200);
    planted.plant(&answer.cookie("wheelhouse_session").unwrap());
}

async fn confirm_by_password(server: &Server, planted: &mut Planted) {
    let pressed = planted.plant("planted current password");
    let fields = [
        field("form[name]", "Adam"),
        field("form[email]", "adam@new.example"),
        field("form[current_password]", &pressed),
    ];
    server.call("adam", "/fn/save_profile", &fields).await;
    server.submit("adam", "/fn/save_profile", &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_stands_in_the_log_however_much_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let mut wanted = config();
    wanted.log = "trace".to_owned();
    serve::logs(&wanted, move || writer.clone()).unwrap().init();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let server = Server::new(kind).await;
        let secrets = use_secrets(&server).await;
        let text = log.text();
        assert!(text.contains("refused: the request comes from another site"));
        for secret in secrets {
            if let Some(line) = text.lines().find(|line| line.contains(&secret)) {
                panic!("{secret} stands in the log: {line}");
            }
        }
    }
    // One of each of our crates: otherwise the search above would not have seen their lines.
    tracing::trace!(target: "wheelhouse::test", "server is logged at every level");
    tracing::trace!(target: "app::test", "app is logged at every level");
    tracing::trace!(target: "store::test", "store is logged at every level");
    tracing::trace!(target: "domain::test", "domain is logged at every level");
    tracing::debug!(target: "sqlx::query", "theirs may hold anything");
    let text = log.text();
    for ours in ["server", "app", "store", "domain"] {
        assert!(
            text.contains(&format!("{ours} is logged at every level")),
            "{ours}"
        );
    }
    assert!(!text.contains("theirs may hold anything"));
}
