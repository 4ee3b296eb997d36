//! Several mail workers at once: each letter is sent by the worker that holds its lease.

use domain::{Timestamp, minutes};
use store::db::entity;
use store::db::sea_orm::EntityTrait;
use store::db::sea_orm::prelude::Uuid;
use store::db::sea_orm::sea_query::Expr;
use store::email::EmailMessage;
use tokio_util::sync::CancellationToken;
use wheelhouse::work::email::send_due;

use super::{DONE, Smtp, add, empty_outbox, only_mail, put, send};
use crate::both::both;

both! {
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
}
