//! Letters, senders and servers that are refused or away: what is tried again, how long, and what is not.

use domain::{Timestamp, minutes};
use store::email::EmailMessage;
use wheelhouse::work::email::WAITS;

use super::{DONE, Smtp, add, all_mails, due, empty_outbox, only_mail, put, send};
use crate::both::both;

both! {
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
