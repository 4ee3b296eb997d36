//! Events are believed that Stripe signed, and no others.

use std::time::Duration;

use axum::http::StatusCode;
use domain::credits::EntryKind;
use domain::payments::PaymentStatus;
use domain::{Secret, Timestamp, minutes};
use serde_json::json;
use store::settlement::provider_webhook::sign;

use super::{actor, buy, last, lines, on_trial, plan, post, stripe, subscribe, tell, work};
use crate::both::both;
use crate::fake_stripe::{GOOD, HOOK, Lost};
use crate::support::Server;

both! {
    async fn nothing_is_believed_that_stripe_did_not_sign(server) {
        let stand_in = stripe(server).await;
        let adam = actor(server, "adam", "acme").await;
        let (id, url) = buy(server, &adam).await;
        let body = stand_in.pay(&url, GOOD).await.to_string();
        let now = Timestamp::now().millis() / 1000;
        let of = |secret: &str, second| sign(&Secret::from(secret), second, body.as_bytes());
        for header in [String::new(), of("whsec_other", now), of(HOOK, now - 301), of(HOOK, now + 301)] {
            assert_eq!(post(server, &header, &body).await, StatusCode::BAD_REQUEST, "{header}");
        }
        assert_eq!(lines(server, id).await, []);
        let mut other = stand_in.pay(&url, GOOD).await;
        other["data"]["object"]["amount_total"] = json!(100);
        assert_eq!(tell(server, &other).await, StatusCode::OK);
        assert_eq!(lines(server, id).await, [], "another amount than was asked for");
    }
}

/// Stripe's own library signs, and checks what is signed here.
#[tokio::test(flavor = "multi_thread")]
async fn stripes_own_library_agrees_about_signatures() {
    let server = Server::new(crate::support::Kind::Sqlite).await;
    let stand_in = stripe(&server).await;
    let adam = actor(&server, "adam", "acme").await;
    let (id, url) = buy(&server, &adam).await;
    let body = stand_in.pay(&url, GOOD).await.to_string();
    let second = Timestamp::now().millis() / 1000;
    let ours = sign(&Secret::from(HOOK), second, body.as_bytes());
    let asked = json!({"secret": HOOK, "second": second, "body": body, "header": ours});
    let python = std::env::var("WHEELHOUSE_TEST_PYTHON").expect("bin/test sets it");
    let mut program = std::process::Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sign_stripe.py"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, asked.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success(), "it takes ours");
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.trim(), ours);
    assert_eq!(post(&server, theirs.trim(), &body).await, StatusCode::OK);
    assert_eq!(lines(&server, id).await, [(EntryKind::Purchase, 1000)]);
}

/// localstripe tells of a charge itself, over the network: nobody else has to ask what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_others_wrote_and_signed_is_understood() {
    let server = Server::new(crate::support::Kind::Sqlite).await;
    let stand_in = stripe(&server).await;
    let greta = on_trial(&server).await;
    subscribe(&server, &stand_in, &greta, GOOD).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/stripe/webhook", listener.local_addr().unwrap());
    let router = server.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    stand_in.tell(&hook).await;
    stand_in.lose("/payment_intents", Lost::Answer);
    let due = plan(&server, greta.workspace())
        .await
        .ends_at
        .after(minutes(1));
    work(&server, due).await;
    for _ in 0..100 {
        if last(&server, greta.workspace()).await.status == PaymentStatus::Paid {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        last(&server, greta.workspace()).await.status,
        PaymentStatus::Paid
    );
    assert!(plan(&server, greta.workspace()).await.ends_at > due);
}
