//! The mail worker against a real SMTP server: aiosmtpd, run by the Python that `WHEELHOUSE_TEST_PYTHON` names.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use app::db::entity;
use app::domain::Timestamp;
use app::mail::{Addressee, Letter, post};
use clap::Parser;
use sea_orm::EntityTrait;
use wheelhouse::config::Config;
use wheelhouse::work::mail::{Post, send_due};

use crate::support::Server;

/// Prints its port, then each letter that it is given, a line each; refuses recipients named `refused` for good and
/// those named `later` for now.
const SMTP_SERVER: &str = r#"
import sys, socket, json
from email import message_from_bytes, policy
from aiosmtpd.controller import Controller

class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"): return "550 no such mailbox"
        if address.startswith("later"): return "450 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"
    async def handle_DATA(self, server, session, envelope):
        m = message_from_bytes(envelope.content, policy=policy.default)
        print(json.dumps({"to": envelope.rcpt_tos, "headers": {k.lower(): str(v) for k, v in m.items()},
            "text": m.get_body(("plain",)).get_content(), "html": m.get_body(("html",)).get_content()}), flush=True)
        return "250 OK"

# The controller wants to know its port beforehand.
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
Controller(Handler(), hostname="127.0.0.1", port=port).start()
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
        let python = std::env::var("WHEELHOUSE_TEST_PYTHON")
            .expect("WHEELHOUSE_TEST_PYTHON names a Python with aiosmtpd; bin/test sets it");
        let mut child = Command::new(python)
            .args(["-c", SMTP_SERVER])
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

    fn letter(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn post(&self) -> Post {
        #[derive(Parser)]
        struct Flags {
            #[command(flatten)]
            options: wheelhouse::cli::Options,
        }
        let url = format!("smtp://127.0.0.1:{}", self.port);
        let flags = Flags::parse_from([
            "test",
            "--smtp-url",
            &url,
            "--mail-from",
            "Wheelhouse <no-reply@house.example>",
        ]);
        Post::new(&Config::read(&flags.options).unwrap())
            .unwrap()
            .unwrap()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn put(server: &Server, to: &str, letter: Letter) {
    let mut tx = server.house.db().begin().await.unwrap();
    entity::Mail::delete_many().exec(&tx).await.unwrap();
    post(
        &mut tx,
        &server.house,
        Addressee {
            email: to.parse().unwrap(),
            user: None,
        },
        letter,
        None,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

async fn only_mail(server: &Server) -> entity::mail::Model {
    let mut mails = entity::Mail::find()
        .all(server.house.db().read())
        .await
        .unwrap();
    assert_eq!(mails.len(), 1);
    mails.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_arrives_whole_and_once() {
    let mut smtp = Smtp::start();
    let server = Server::new().await;
    let letter = Letter::new("Grüße\r\nBcc: everyone@acme.example")
        .paragraph("Hello <b>Zoë</b>,")
        .button("See invitation", "http://127.0.0.1:3000/invite/x");
    put(&server, "zoe@new.example", letter).await;
    assert_eq!(send_due(&server.house, &smtp.post()).await.unwrap(), 1);
    let arrived = smtp.letter();
    assert_eq!(arrived["to"], serde_json::json!(["zoe@new.example"]));
    assert_eq!(
        arrived["headers"]["subject"],
        "Grüße  Bcc: everyone@acme.example"
    );
    assert!(arrived["headers"].get("bcc").is_none());
    assert_eq!(
        arrived["headers"]["from"],
        "Wheelhouse <no-reply@house.example>"
    );
    assert!(
        arrived["text"]
            .as_str()
            .unwrap()
            .contains("Hello <b>Zoë</b>,")
    );
    assert!(
        arrived["html"]
            .as_str()
            .unwrap()
            .contains("Hello &lt;b&gt;Zoë&lt;/b&gt;,")
    );
    let mail = only_mail(&server).await;
    assert!(mail.sent_at.is_some());
    assert!(
        mail.body_text.is_empty() && mail.body_html.is_empty(),
        "what was sent is not kept"
    );
    assert_eq!(
        send_due(&server.house, &smtp.post()).await.unwrap(),
        0,
        "sent is sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_now_is_tried_again_and_one_for_good_is_not() {
    let smtp = Smtp::start();
    let server = Server::new().await;
    put(
        &server,
        "later@new.example",
        Letter::new("Hello").paragraph("x"),
    )
    .await;
    send_due(&server.house, &smtp.post()).await.unwrap();
    let mail = only_mail(&server).await;
    assert!(mail.sent_at.is_none() && mail.failed_at.is_none());
    assert!(
        mail.next_attempt_at.unwrap() > Timestamp::now(),
        "after a wait"
    );
    assert!(mail.last_error.unwrap().contains("450"));

    put(
        &server,
        "refused@new.example",
        Letter::new("Hello").paragraph("x"),
    )
    .await;
    send_due(&server.house, &smtp.post()).await.unwrap();
    let mail = only_mail(&server).await;
    assert!(mail.failed_at.is_some() && mail.body_text.is_empty());
    assert!(mail.last_error.unwrap().contains("550"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_a_letter_waits() {
    let post = {
        let smtp = Smtp::start();
        smtp.post()
    };
    let server = Server::new().await;
    put(
        &server,
        "zoe@new.example",
        Letter::new("Hello").paragraph("x"),
    )
    .await;
    send_due(&server.house, &post).await.unwrap();
    let mail = only_mail(&server).await;
    assert!(mail.sent_at.is_none() && mail.failed_at.is_none() && mail.attempts == 1);
    assert!(mail.lease_token.is_none(), "the lease is given back");
}
