//! The mail worker against a real SMTP server: aiosmtpd, run by the Python that `WHEELHOUSE_TEST_PYTHON` names.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use clap::Parser;
use domain::catalog::Category;
use domain::{Timestamp, minutes};
use store::db::entity;
use store::db::sea_orm::EntityTrait;
use store::db::sea_orm::prelude::Uuid;
use store::db::sea_orm::sea_query::Expr;
use store::email::{EmailMessage, NotificationMeta, Recipient, enqueue};
use tokio_util::sync::CancellationToken;
use wheelhouse::config::Config;
use wheelhouse::metrics::Metrics;
use wheelhouse::work::email::{MailerConfig, Round, WAITS, send_due};

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
            options: wheelhouse::cli::Options,
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

    async fn a_refusal_for_now_is_tried_again_and_one_for_good_is_not(server) {
        let smtp = Smtp::start();
        put(
            server,
            "later@new.example",
            EmailMessage::new("Hello").paragraph("x"),
        )
        .await;
        send(server, &smtp.post()).await;
        let mail = only_mail(server).await;
        assert!(mail.sent_at.is_none() && mail.failed_at.is_none());
        assert!(
            mail.next_attempt_at.unwrap() > Timestamp::now(),
            "after a wait"
        );
        assert!(mail.last_error.unwrap().contains("450"));

        put(
            server,
            "refused@new.example",
            EmailMessage::new("Hello").paragraph("x"),
        )
        .await;
        send(server, &smtp.post()).await;
        let mail = only_mail(server).await;
        assert!(mail.failed_at.is_some());
        assert!(mail.last_error.unwrap().contains("550"));
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

    async fn a_refused_text_is_lost_and_the_next_letter_passes(server) {
        let mut smtp = Smtp::start();
        put(server, "a@new.example", EmailMessage::new("spam").paragraph("x")).await;
        add(server, "refused@new.example", EmailMessage::new("Hello").paragraph("x")).await;
        add(server, "zoe@new.example", EmailMessage::new("Hello").paragraph("x")).await;
        assert_eq!(send(server, &smtp.post()).await.tried, 3);
        assert_eq!(smtp.message()["to"], serde_json::json!(["zoe@new.example"]));
        let emails = all_mails(server).await;
        let failed = emails.iter().filter(|mail| mail.failed_at.is_some()).count();
        let sent = emails.iter().filter(|mail| mail.sent_at.is_some()).count();
        assert_eq!((failed, sent), (2, 1));
    }

    async fn a_wrong_password_loses_no_letter(server) {
        let mut smtp = Smtp::start_with(&["--ask"]);
        put(server, "zoe@new.example", EmailMessage::new("Hello").paragraph("x")).await;
        let sender = "no-reply@settings.example";
        let round = send(server, &smtp.post_as("wheelhouse:wrong@", sender)).await;
        assert!(round.blocked);
        let mail = only_mail(server).await;
        assert!(mail.failed_at.is_none() && mail.attempts == 1);
        let error = mail.last_error.unwrap();
        assert!(error.contains("535"), "{error}");
        // Without any the server says 530.
        due(server).await;
        send(server, &smtp.post()).await;
        let mail = only_mail(server).await;
        assert!(mail.failed_at.is_none() && mail.attempts == 2);
        let error = mail.last_error.unwrap();
        assert!(error.contains("530"), "{error}");

        due(server).await;
        assert_eq!(send(server, &smtp.post_as("wheelhouse:open%20sesame@", sender)).await, DONE);
        assert_eq!(smtp.message()["to"], serde_json::json!(["zoe@new.example"]));
    }

    async fn a_refused_sender_loses_no_letter(server) {
        let smtp = Smtp::start();
        put(server, "zoe@new.example", EmailMessage::new("Hello").paragraph("x")).await;
        send(server, &smtp.post_as("", "banned@settings.example")).await;
        let mail = only_mail(server).await;
        assert!(mail.failed_at.is_none() && mail.attempts == 1);
        assert!(mail.last_error.unwrap().contains("550"));
    }

    async fn a_server_that_is_away_costs_a_few_letters_an_attempt_and_the_others_none(server) {
        let away = {
            let smtp = Smtp::start();
            smtp.post()
        };
        empty_outbox(server).await;
        for n in 0..15 {
            let to = format!("zoe{n}@new.example");
            add(server, &to, EmailMessage::new("Hello").paragraph("x")).await;
        }
        let round = send(server, &away).await;
        assert!(round.blocked && round.tried <= 4, "{round:?}");
        let emails = all_mails(server).await;
        let tried = emails.iter().filter(|mail| mail.attempts == 1).count();
        assert_eq!(tried, round.tried);
        assert!(emails.iter().all(|mail| mail.lease_token.is_none() && mail.failed_at.is_none()));
    }

    async fn letters_go_side_by_side_and_each_once(server) {
        let mut smtp = Smtp::start();
        empty_outbox(server).await;
        for n in 0..16 {
            let to = format!("zoe{n}@new.example");
            add(server, &to, EmailMessage::new("slow").paragraph("x")).await;
        }
        let post = smtp.post();
        let began = std::time::Instant::now();
        // Two processes at once: what one has claimed the other leaves alone.
        let (one, two) = tokio::join!(send(server, &post), send(server, &post));
        assert!(began.elapsed().as_secs() < 4, "one after another takes 6.4 s");
        assert_eq!(one.tried + two.tried, 16);
        let to: std::collections::BTreeSet<String> =
            (0..16).map(|_| smtp.message()["to"][0].to_string()).collect();
        assert_eq!(to.len(), 16);
        assert_eq!(send(server, &post).await.tried, 0);
    }

    async fn a_worker_that_is_told_to_stop_gives_its_letters_back(server) {
        let smtp = Smtp::start();
        put(server, "zoe@new.example", EmailMessage::new("Hello").paragraph("x")).await;
        let stop = CancellationToken::new();
        stop.cancel();
        let round = send_due(&server.ctx, &smtp.post(), &stop).await.unwrap();
        assert_eq!(round.tried, 0);
        let mail = only_mail(server).await;
        assert!(mail.lease_token.is_none() && mail.attempts == 0 && mail.sent_at.is_none());
    }

    async fn a_worker_that_lost_its_lease_changes_nothing(server) {
        let smtp = Smtp::start();
        put(server, "zoe@new.example", EmailMessage::new("slow").paragraph("x")).await;
        let post = smtp.post();
        let other = Uuid::new_v4();
        let robbed = async {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            let tx = server.ctx.db().begin().await.unwrap();
            entity::OutboxEmail::update_many()
                .col_expr(entity::outbox_email::Column::LeaseToken, Expr::value(other))
                .exec(&tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        };
        tokio::join!(send(server, &post), robbed);
        let mail = only_mail(server).await;
        assert!(mail.sent_at.is_none() && mail.attempts == 0, "the other worker says what became of it");
        assert_eq!(mail.lease_token, Some(other));
    }

    async fn a_lease_that_has_run_out_is_taken_over(server) {
        let smtp = Smtp::start();
        put(server, "zoe@new.example", EmailMessage::new("Hello").paragraph("x")).await;
        let lease = async |until: Timestamp| {
            let tx = server.ctx.db().begin().await.unwrap();
            entity::OutboxEmail::update_many()
                .col_expr(entity::outbox_email::Column::LeaseToken, Expr::value(Uuid::new_v4()))
                .col_expr(entity::outbox_email::Column::LeaseUntil, Expr::value(until))
                .exec(&tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        };
        lease(Timestamp::now().after(minutes(1))).await;
        assert_eq!(send(server, &smtp.post()).await.tried, 0);
        lease(Timestamp::now().before(minutes(1))).await;
        assert_eq!(send(server, &smtp.post()).await, DONE);
    }

    async fn waits_grow_and_end(server) {
        let smtp = Smtp::start();
        put(server, "later@new.example", EmailMessage::new("Hello").paragraph("x")).await;
        let post = smtp.post();
        for (attempt, wait) in (1..).zip(WAITS) {
            send(server, &post).await;
            let mail = only_mail(server).await;
            assert_eq!((mail.attempts, mail.failed_at), (attempt, None));
            let next = mail.next_attempt_at.unwrap();
            let now = Timestamp::now();
            assert!(next <= now.after(minutes(wait)) && next > now.after(minutes(wait)).before(minutes(1)));
            due(server).await;
        }
        send(server, &post).await;
        let mail = only_mail(server).await;
        assert!(mail.failed_at.is_some(), "after {} attempts", mail.attempts);
        due(server).await;
        assert_eq!(send(server, &post).await.tried, 0);
    }
}
