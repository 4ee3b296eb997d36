//! Deliveries are signed, also during a rotation, and others' libraries verify them.

use std::collections::HashMap;

use domain::Secret;
use domain::catalog::{EventType, Mode};
use domain::webhooks::DeliveryStatus;
use serde_json::json;
use store::db::entity;
use store::db::sea_orm::EntityTrait;
use store::webhooks::{self, signing};
use wheelhouse::work::{dispatch::dispatch_all, webhooks::send_due};

use super::{On, Receiver, World, both, settings};

both! {
    async fn a_secret_that_cannot_be_decrypted_is_a_failed_attempt_that_says_so(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/ok"), |_| {}).await;
        world.contacts(1).await;
        // As if it had been sealed with another key.
        world.change(id, entity::webhook::Column::Secret, vec![7_u8; 80]).await;
        send_due(&world.ctx, &settings(&[60])).await.unwrap();
        let delivery = world.deliveries(id).await.remove(0);
        assert_eq!((delivery.attempts, delivery.status), (1, DeliveryStatus::Pending));
        assert_eq!(delivery.last_error.as_deref(), Some("secret_unreadable"));
        let attempt = world.attempts(delivery.id).await.remove(0);
        assert_eq!(attempt.error.as_deref(), Some("secret_unreadable"));
        assert!(receiver.got().is_empty());
        // A new secret is the way out, although the one before stays unreadable.
        let mut tx = world.ctx.db().begin().await.unwrap();
        webhooks::rotate_secret(&mut tx, &world.ctx, &world.olivia.permit().unwrap(), id).await.unwrap();
        tx.commit().await.unwrap();
        world.hurry(id).await;
        send_due(&world.ctx, &settings(&[60])).await.unwrap();
        assert_eq!(world.deliveries(id).await[0].status, DeliveryStatus::Delivered);
        assert_eq!(receiver.got().len(), 1);
    }

    async fn a_delivery_is_signed_and_the_same_at_every_attempt(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/flaky"), |input| {
            input.headers = [("X-Key".to_owned(), Secret::from("open sesame"))].into();
        }).await;
        world.contacts(1).await;
        send_due(&world.ctx, &settings(&[1])).await.unwrap();
        world.hurry(id).await;
        send_due(&world.ctx, &settings(&[1])).await.unwrap();

        let got = receiver.got();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].2, got[1].2, "the same bytes");
        let secret = webhooks::secret(&world.ctx, &world.olivia.permit_read().unwrap(), id).await.unwrap();
        for (_, headers, body) in &got {
            let text = |name: &str| headers[name].to_str().unwrap().to_owned();
            let event = text("webhook-id").parse().unwrap();
            let body = std::str::from_utf8(body).unwrap();
            let expected = signing::sign(&secret, event, text("webhook-timestamp").parse().unwrap(), body);
            assert_eq!(Some(text("webhook-signature")), expected);
            assert_eq!(text("webhook-id"), got[0].1["webhook-id"]);
            assert_eq!((text("user-agent").as_str(), text("x-key").as_str()), ("Wheelhouse-Webhooks/1", "open sesame"));
            let envelope: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(envelope["id"], text("webhook-id"));
        }
        let delivery = &world.deliveries(id).await[0];
        assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Delivered, 2));
        assert!(delivery.lease_token.is_none() && delivery.next_attempt_at.is_none());
        let attempts = world.attempts(delivery.id).await;
        assert_eq!(attempts.iter().map(|a| a.status_code).collect::<Vec<_>>(), [Some(500), Some(200)]);
        assert_eq!(attempts[1].response_body.as_deref(), Some("thank you"));
        let shown = attempts[1].request_headers.as_ref().unwrap();
        assert_eq!(shown["x-key"], "••••", "a header of theirs may be a password");
        let hours = entity::WebhookHourlyStat::find().all(world.ctx.db().read()).await.unwrap();
        let hours: Vec<_> = hours.iter().filter(|hour| hour.webhook_id == id).collect();
        assert_eq!(hours.iter().map(|hour| (hour.succeeded, hour.failed)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)), (1, 1));
        assert!(world.row(id).await.last_success_at.is_some());
    }

    async fn both_secrets_sign_during_a_rotation(world) {
        let receiver = Receiver::start().await;
        let id = world.webhook(&receiver.to("/ok"), |_| ()).await;
        let old = webhooks::secret(&world.ctx, &world.olivia.permit_read().unwrap(), id).await.unwrap();
        let mut tx = world.ctx.db().begin().await.unwrap();
        let new = webhooks::rotate_secret(&mut tx, &world.ctx, &world.olivia.permit().unwrap(), id).await.unwrap().secret.unwrap();
        tx.commit().await.unwrap();
        assert_ne!(old, new);
        world.contacts(1).await;
        send_due(&world.ctx, &settings(&[])).await.unwrap();
        let (_, headers, body) = receiver.got()[0].clone();
        let (event, at) = (headers["webhook-id"].to_str().unwrap().parse().unwrap(), headers["webhook-timestamp"].to_str().unwrap().parse().unwrap());
        let body = std::str::from_utf8(&body).unwrap();
        let expected = format!("{} {}", signing::sign(&new, event, at, body).unwrap(), signing::sign(&old, event, at, body).unwrap());
        assert_eq!(headers["webhook-signature"], expected);
    }
}

/// What is sent is verified by libraries that are not ours, also during a rotation.
#[tokio::test(flavor = "multi_thread")]
async fn the_libraries_of_others_verify_what_is_sent() {
    let world = World::new(On::Sqlite).await;
    let receiver = Receiver::start().await;
    let id = world.webhook(&receiver.to("/ok"), |_| ()).await;
    let old = webhooks::secret(&world.ctx, &world.olivia.permit_read().unwrap(), id)
        .await
        .unwrap();
    let mut tx = world.ctx.db().begin().await.unwrap();
    let new = webhooks::rotate_secret(&mut tx, &world.ctx, &world.olivia.permit().unwrap(), id)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world
        .event(
            EventType::ContactCreated,
            Mode::Live,
            json!({"name": "Zoë “Z” Núñez 🎈", "note": "a\nb\u{2028}"}),
        )
        .await;
    dispatch_all(&world.ctx).await.unwrap();
    send_due(&world.ctx, &settings(&[])).await.unwrap();
    let (_, headers, body) = receiver.got().remove(0);
    let headers: HashMap<&str, &str> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let sent = json!({
        "secrets": [new.secret.unwrap().expose(), old.expose()],
        "headers": headers,
        "body": std::str::from_utf8(&body).unwrap(),
    });
    let python = std::env::var("WHEELHOUSE_TEST_PYTHON")
        .expect("WHEELHOUSE_TEST_PYTHON names a Python; bin/setup --tests makes one");
    let mut program = std::process::Command::new(python)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/verify_webhook.py"
        ))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = program.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, sent.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "verified\n");
}
