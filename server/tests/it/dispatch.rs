//! What follows from an event: to whom, through which channel, once.

use axum::http::Request;
use domain::catalog::{Category, Channel, EventType, Mode};
use domain::notifications::Switch;
use domain::{Name, Role, Secret};
use store::auth::{Actor, Caller};
use store::db::entity;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use store::events::{NewEvent, record};
use store::members::invitations::invite;
use store::{members, notifications as preferences, workspace as workspaces};
use wheelhouse::work::dispatch::dispatch_all;

use crate::both::both;
use crate::support::{ORIGIN, Server, info};

/// Dispatches what the demo brought, and forgets what came of it.
async fn quiet(server: &Server) {
    dispatch_all(&server.ctx).await.unwrap();
    let tx = server.ctx.db().begin().await.unwrap();
    entity::Notification::delete_many().exec(&tx).await.unwrap();
    entity::OutboxEmail::delete_many().exec(&tx).await.unwrap();
    entity::EmailWindow::delete_many().exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn actor(server: &Server, who: &str) -> Actor {
    let cookie = server.cookies[who].expose().to_owned();
    Caller::new(server.ctx.clone(), info(), Some(cookie))
        .actor("acme")
        .await
        .unwrap()
}

async fn inbox_of(server: &Server, who: &str) -> u64 {
    let user = actor(server, who).await.person().id();
    let filter = entity::notification::Column::UserId.eq(user);
    entity::Notification::find()
        .filter(filter)
        .count(server.ctx.db().read())
        .await
        .unwrap()
}

async fn emails(server: &Server) -> Vec<entity::outbox_email::Model> {
    entity::OutboxEmail::find()
        .all(server.ctx.db().read())
        .await
        .unwrap()
}

both! {
    async fn everyone_who_may_see_it_is_told_but_the_one_who_did_it(server) {
        quiet(server).await;
        let adam = actor(server, "adam").await;
        workspaces::rename(&server.ctx, &adam.permit().unwrap(), Name::parse("Acme Corp").unwrap())
            .await
            .unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        for (who, told) in [("olivia", 1), ("adam", 0), ("mia", 1), ("cleo", 1)] {
            assert_eq!(inbox_of(server, who).await, told, "{who}");
        }
        assert!(
            emails(server).await.is_empty(),
            "Workspace by Email is off by default"
        );
    }

    async fn what_one_may_not_see_one_is_not_told(server) {
        quiet(server).await;
        let adam = actor(server, "adam").await;
        invite(
            &server.ctx,
            &adam.permit().unwrap(),
            "zoe@new.example",
            Role::Member,
        )
        .await
        .unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        for (who, told) in [("olivia", 1), ("adam", 0), ("mia", 0), ("cleo", 0)] {
            assert_eq!(inbox_of(server, who).await, told, "{who}");
        }
    }

    async fn preferences_decide_and_mail_can_be_stopped_by_one_click(server) {
        quiet(server).await;
        let olivia = actor(server, "olivia").await;
        let cell = |channel| Switch::Cell(Category::Workspace, channel);
        preferences::set(&server.ctx, olivia.person(), cell(Channel::InApp), false)
            .await
            .unwrap();
        preferences::set(&server.ctx, olivia.person(), cell(Channel::Email), true)
            .await
            .unwrap();
        let adam = actor(server, "adam").await;
        workspaces::rename(&server.ctx, &adam.permit().unwrap(), Name::parse("Acme Corp").unwrap())
            .await
            .unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(inbox_of(server, "olivia").await, 0);
        let sent = emails(server).await;
        assert_eq!(sent.len(), 1);
        assert_eq!(
            sent[0].subject,
            "Adam Archer renamed the workspace to Acme Corp"
        );
        assert_eq!(sent[0].recipient.as_str(), "olivia@acme.example");

        let url = store::email::decrypt(&server.ctx, &sent[0]).unwrap().unsubscribe_url.unwrap();
        let request = Request::post(url.strip_prefix(ORIGIN).unwrap())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(axum::body::Body::from("List-Unsubscribe=One-Click"))
            .unwrap();
        assert_eq!(server.send(request).await.status, 200);
        let view = preferences::view(&server.ctx, olivia.person())
            .await
            .unwrap();
        assert!(!view.is_on(cell(Channel::Email)));
        assert!(
            view.is_on(Switch::Cell(Category::Security, Channel::Email)),
            "the others stay"
        );
    }

    async fn a_repeat_is_harmless(server) {
        quiet(server).await;
        let adam = actor(server, "adam").await;
        let mia = actor(server, "mia").await;
        members::change_role(&server.ctx, &info(), &adam.permit().unwrap(), mia.membership(), Role::Client, &Secret::default())
            .await
            .unwrap();
        for _ in 0..3 {
            dispatch_all(&server.ctx).await.unwrap();
            let tx = server.ctx.db().begin().await.unwrap();
            // As after a crash between the effects and the mark.
            entity::Event::update_many()
                .col_expr(
                    entity::event::Column::DispatchedAt,
                    Expr::value(None::<domain::Timestamp>),
                )
                .exec(&tx)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
        let event = entity::event::Column::EventType.eq("member.role_changed");
        let event = entity::Event::find()
            .filter(event)
            .one(server.ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        let rows = entity::Notification::find()
            .filter(entity::notification::Column::EventId.eq(event.id))
            .count(server.ctx.db().read())
            .await
            .unwrap();
        assert_eq!(rows, 3, "Olivia, Mia and Cleo, once each");
    }

    async fn a_sign_in_tells_the_person_by_both_channels(server) {
        quiet(server).await;
        let fields = [
            ("form[email]", "mia@acme.example".to_owned()),
            ("form[password]", store::demo::PASSWORD.to_owned()),
        ];
        server.call("nobody", "/fn/sign_in", &fields).await;
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(inbox_of(server, "mia").await, 1);
        assert_eq!(inbox_of(server, "adam").await, 0);
        let sent = emails(server).await;
        assert_eq!(sent.len(), 1);
        assert!(sent[0].subject.starts_with("New sign-in from "));
    }
    async fn an_event_that_cannot_be_read_does_not_hold_up_the_others(server) {
        quiet(server).await;
        let adam = actor(server, "adam").await;
        workspaces::rename(&server.ctx, &adam.permit().unwrap(), Name::parse("Acme Corp").unwrap())
            .await
            .unwrap();
        // As a newer version of the program writes it, when both run at once.
        let tx = server.ctx.db().begin().await.unwrap();
        tx.execute_unprepared("UPDATE events SET type = 'moon.risen' WHERE dispatched_at IS NULL")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        workspaces::rename(&server.ctx, &adam.permit().unwrap(), Name::parse("Acme Inc").unwrap())
            .await
            .unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(inbox_of(server, "olivia").await, 1, "of the second");
        let waiting = entity::Event::find()
            .filter(entity::event::Column::DispatchedAt.is_null())
            .count(server.ctx.db().read())
            .await
            .unwrap();
        assert_eq!(waiting, 1, "the first one waits");

        let tx = server.ctx.db().begin().await.unwrap();
        tx.execute_unprepared("UPDATE events SET type = 'workspace.renamed' WHERE type = 'moon.risen'")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(inbox_of(server, "olivia").await, 2, "and is told once it can be read");
    }

    async fn many_events_are_dispatched_each_once_by_several_processes(server) {
        quiet(server).await;
        let adam = actor(server, "adam").await;
        let mut tx = server.ctx.db().begin().await.unwrap();
        for n in 0..450 {
            let data = serde_json::json!({"name": format!("Contact {n}")});
            let event = NewEvent::in_workspace(adam.workspace(), EventType::ContactCreated, data);
            record(&mut tx, &adam, event).await.unwrap();
        }
        tx.commit().await.unwrap();
        let all = (0..4).map(|_| dispatch_all(&server.ctx));
        futures::future::try_join_all(all).await.unwrap();
        for (who, told) in [("olivia", 450), ("adam", 0), ("mia", 450), ("cleo", 450)] {
            assert_eq!(inbox_of(server, who).await, told, "{who}");
        }
    }

    async fn the_test_world_tells_nobody(server) {
        quiet(server).await;
        let adam = actor(server, "adam").await;
        let mut tx = server.ctx.db().begin().await.unwrap();
        let data = serde_json::json!({"name": "Ana"});
        let event = NewEvent::in_workspace(adam.workspace(), EventType::ContactCreated, data);
        record(&mut tx, &adam, event.in_mode(Mode::Test)).await.unwrap();
        tx.commit().await.unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(inbox_of(server, "olivia").await, 0);
    }
}
