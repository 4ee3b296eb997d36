//! The mail worker against a real SMTP server: aiosmtpd, run by the Python that `WHEELHOUSE_TEST_PYTHON` names.

mod leases;
mod refusals;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use clap::Parser;
use domain::Timestamp;
use domain::catalog::Category;
use store::db::entity;
use store::db::sea_orm::EntityTrait;
use store::db::sea_orm::sea_query::Expr;
use store::email::{EmailMessage, NotificationMeta, Recipient, enqueue};
use tokio_util::sync::CancellationToken;
use wheelhouse::config::Config;
use wheelhouse::metrics::Metrics;
use wheelhouse::work::email::{MailerConfig, Round, send_due};

use crate::both::both;
use crate::support::Server;

/// Prints its port, then each letter that it is given, a line each; refuses recipients named `refused` for good, those
/// named `later` for now, senders named `banned` for good, and any password but `open sesame`.
const SMTP_SERVER: &str = r#"
import sys, socket, json, asyncio
from email import message_from_bytes, policy
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("banned"): return "550 no such sender"
        envelope.mail_from = address
        return "250 OK"
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"): return "550 no such mailbox"
        if address.startswith("later"): return "450 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"
    async def handle_DATA(self, server, session, envelope):
        m = message_from_bytes(envelope.content, policy=policy.default)
        if "slow" in m["subject"]: await asyncio.sleep(0.4)
        if "spam" in m["subject"]: return "554 we do not want this"
        print(json.dumps({"to": envelope.rcpt_tos, "headers": {k.lower(): str(v) for k, v in m.items()},
            "text": m.get_body(("plain",)).get_content(), "html": m.get_body(("html",)).get_content()}), flush=True)
        return "250 OK"

def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"wheelhouse" and data.password == b"open sesame"
    return AuthResult(success=good, handled=False)

# The controller wants to know its port beforehand.
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
asks = "--ask" in sys.argv
Controller(Handler(), hostname="127.0.0.1", port=port, authenticator=authenticate,
    auth_required=asks, auth_require_tls=False).start()
print(port, flush=True)
sys.stdin.read()
"#;

struct Smtp {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    port: u16,
}

impl Smtp {
    fn start() -> Self {
        Self::start_with(&[])
    }

    fn start_with(options: &[&str]) -> Self {
        let python = std::env::var("WHEELHOUSE_TEST_PYTHON")
            .expect("WHEELHOUSE_TEST_PYTHON names a Python with aiosmtpd; bin/test sets it");
        let mut child = Command::new(python)
            .args(["-c", SMTP_SERVER])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the SMTP server starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        Self {
            child,
            lines,
            port: port.trim().parse().expect("the SMTP server says its port"),
        }
    }

    fn message(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn post(&self) -> MailerConfig {
        self.post_as("", "no-reply@settings.example")
    }

    /// `user`: what stands before the host in the server's address.
    fn post_as(&self, user: &str, sender: &str) -> MailerConfig {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            options: wheelhouse::options::Options,
        }
        let url = format!("smtp://{user}127.0.0.1:{}", self.port);
        let from = format!("Wheelhouse <{sender}>");
        let flags = Flags::parse_from(["test", "--smtp-url", &url, "--mail-from", &from]);
        MailerConfig::new(&Config::read(&flags.options).unwrap(), &Metrics::default()).unwrap()
    }
}

/// Looks into the outbox once.
async fn send(server: &Server, mailer: &MailerConfig) -> Round {
    send_due(&server.ctx, mailer, &CancellationToken::new())
        .await
        .unwrap()
}

const DONE: Round = Round {
    tried: 1,
    blocked: false,
};

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes this letter the only one.
async fn put(server: &Server, to: &str, message: EmailMessage) {
    empty_outbox(server).await;
    add(server, to, message).await;
}

async fn empty_outbox(server: &Server) {
    let tx = server.ctx.db().begin().await.unwrap();
    entity::OutboxEmail::delete_many().exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn add(server: &Server, to: &str, message: EmailMessage) {
    let mut tx = server.ctx.db().begin().await.unwrap();
    let to = Recipient {
        email: to.parse().unwrap(),
        user: None,
    };
    enqueue(&mut tx, &server.ctx, to, message, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Lets the wait of every letter be over.
async fn due(server: &Server) {
    let tx = server.ctx.db().begin().await.unwrap();
    entity::OutboxEmail::update_many()
        .col_expr(
            entity::outbox_email::Column::NextAttemptAt,
            Expr::value(Timestamp::now()),
        )
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn all_mails(server: &Server) -> Vec<entity::outbox_email::Model> {
    entity::OutboxEmail::find()
        .all(server.ctx.db().read())
        .await
        .unwrap()
}

async fn only_mail(server: &Server) -> entity::outbox_email::Model {
    let mut emails = entity::OutboxEmail::find()
        .all(server.ctx.db().read())
        .await
        .unwrap();
    assert_eq!(emails.len(), 1);
    emails.remove(0)
}

both! {
    async fn a_letter_arrives_whole_and_once(server) {
        let mut smtp = Smtp::start();
        let message = EmailMessage::new("Grüße\r\nBcc: everyone@acme.example")
            .paragraph("Hi <b>Zoë</b>,")
            .button("Accept Invitation", "http://127.0.0.1:3000/invite/x");
        put(server, "zoe@new.example", message).await;
        assert_eq!(send(server, &smtp.post()).await, DONE);
        let arrived = smtp.message();
        assert_eq!(arrived["to"], serde_json::json!(["zoe@new.example"]));
        assert_eq!(
            arrived["headers"]["subject"],
            "Grüße  Bcc: everyone@acme.example"
        );
        assert!(arrived["headers"].get("bcc").is_none());
        assert_eq!(
            arrived["headers"]["from"],
            "Wheelhouse <no-reply@settings.example>"
        );
        assert!(
            arrived["text"]
                .as_str()
                .unwrap()
                .contains("Hi <b>Zoë</b>,")
        );
        assert!(
            arrived["html"]
                .as_str()
                .unwrap()
                .contains("Hi &lt;b&gt;Zoë&lt;/b&gt;,")
        );
        let mail = only_mail(server).await;
        assert!(mail.sent_at.is_some());
        assert!(
            mail.body_text.is_empty() && mail.body_html.is_empty(),
            "what was sent is not kept"
        );
        assert_eq!(
            send(server, &smtp.post()).await.tried,
            0,
            "sent is sent"
        );
    }

    async fn without_a_server_a_letter_waits(server) {
        let post = {
            let smtp = Smtp::start();
            smtp.post()
        };
        put(
            server,
            "zoe@new.example",
            EmailMessage::new("Hello").paragraph("x"),
        )
        .await;
        assert!(send(server, &post).await.blocked);
        let mail = only_mail(server).await;
        assert!(mail.sent_at.is_none() && mail.failed_at.is_none() && mail.attempts == 1);
        assert!(mail.lease_token.is_none(), "the lease is given back");
    }

    async fn a_notification_says_how_to_stop_its_kind(server) {
        let mut smtp = Smtp::start();
        let mut tx = server.ctx.db().begin().await.unwrap();
        entity::OutboxEmail::delete_many().exec(&tx).await.unwrap();
        let event = entity::Event::find().one(&tx).await.unwrap().unwrap();
        let notice = NotificationMeta {
            event: event.id,
            category: Category::Workspace,
            unsubscribe_url: "https://settings.example/unsubscribe/x".into(),
        };
        let to = Recipient {
            email: "zoe@new.example".parse().unwrap(),
            user: None,
        };
        let message = EmailMessage::new("Hello").paragraph("x");
        enqueue(&mut tx, &server.ctx, to, message, Some(notice)).await.unwrap();
        tx.commit().await.unwrap();
        send(server, &smtp.post()).await;
        let headers = smtp.message()["headers"].clone();
        assert_eq!(headers["list-unsubscribe"], "<https://settings.example/unsubscribe/x>");
        assert_eq!(headers["list-unsubscribe-post"], "List-Unsubscribe=One-Click");
    }
}
