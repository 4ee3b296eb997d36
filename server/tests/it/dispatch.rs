//! What follows from an event: to whom, through which channel, once.

use app::catalog::{Category, Channel};
use app::db::entity;
use app::domain::{Name, Role, Secret};
use app::session::{Actor, Caller};
use app::settings::members::store as members;
use app::settings::notifications::model::Switch;
use app::settings::notifications::store as preferences;
use app::settings::workspace::store as workspaces;
use axum::http::Request;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use wheelhouse::work::dispatch::dispatch_all;

use crate::support::{Server, info};

async fn quiet_server() -> Server {
    let server = Server::new().await;
    dispatch_all(&server.house).await.unwrap();
    let tx = server.house.db().begin().await.unwrap();
    entity::Notification::delete_many().exec(&tx).await.unwrap();
    entity::Mail::delete_many().exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
    server
}

async fn actor(server: &Server, who: &str) -> Actor {
    let cookie = server.cookies[who].expose().to_owned();
    Caller::new(server.house.clone(), info(), Some(cookie))
        .actor("acme")
        .await
        .unwrap()
}

async fn inbox_of(server: &Server, who: &str) -> u64 {
    let user = actor(server, who).await.person().id();
    let filter = entity::notification::Column::UserId.eq(user);
    entity::Notification::find()
        .filter(filter)
        .count(server.house.db().read())
        .await
        .unwrap()
}

async fn mails(server: &Server) -> Vec<entity::mail::Model> {
    entity::Mail::find()
        .all(server.house.db().read())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_who_may_see_it_is_told_but_the_one_who_did_it() {
    let server = quiet_server().await;
    let adam = actor(&server, "adam").await;
    workspaces::rename(&server.house, &adam, Name::parse("Acme Corp").unwrap())
        .await
        .unwrap();
    dispatch_all(&server.house).await.unwrap();
    for (who, told) in [("olivia", 1), ("adam", 0), ("mia", 1), ("cleo", 1)] {
        assert_eq!(inbox_of(&server, who).await, told, "{who}");
    }
    assert!(
        mails(&server).await.is_empty(),
        "Workspace by Email is off by default"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_may_not_see_one_is_not_told() {
    let server = quiet_server().await;
    let adam = actor(&server, "adam").await;
    app::settings::members::invitations::invite(
        &server.house,
        &adam,
        "zoe@new.example",
        Role::Member,
    )
    .await
    .unwrap();
    dispatch_all(&server.house).await.unwrap();
    for (who, told) in [("olivia", 1), ("adam", 0), ("mia", 0), ("cleo", 0)] {
        assert_eq!(inbox_of(&server, who).await, told, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_decide_and_mail_can_be_stopped_by_one_click() {
    let server = quiet_server().await;
    let olivia = actor(&server, "olivia").await;
    let cell = |channel| Switch::Cell(Category::Workspace, channel);
    preferences::set(&server.house, olivia.person(), cell(Channel::InApp), false)
        .await
        .unwrap();
    preferences::set(&server.house, olivia.person(), cell(Channel::Email), true)
        .await
        .unwrap();
    let adam = actor(&server, "adam").await;
    workspaces::rename(&server.house, &adam, Name::parse("Acme Corp").unwrap())
        .await
        .unwrap();
    dispatch_all(&server.house).await.unwrap();
    assert_eq!(inbox_of(&server, "olivia").await, 0);
    let sent = mails(&server).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0].subject,
        "Adam Archer renamed the workspace to Acme Corp"
    );
    assert_eq!(sent[0].recipient.as_str(), "olivia@acme.example");

    let url = app::mail::open(&server.house, &sent[0])
        .unwrap()
        .unsubscribe_url
        .unwrap();
    let request = Request::post(url.strip_prefix("http://127.0.0.1:3000").unwrap())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from("List-Unsubscribe=One-Click"))
        .unwrap();
    assert_eq!(server.send(request).await.status, 200);
    let view = preferences::view(&server.house, olivia.person())
        .await
        .unwrap();
    assert!(!view.is_on(cell(Channel::Email)));
    assert!(
        view.is_on(Switch::Cell(Category::Security, Channel::Email)),
        "the others stay"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_harmless() {
    let server = quiet_server().await;
    let adam = actor(&server, "adam").await;
    let mia = actor(&server, "mia").await;
    members::change_role(
        &server.house,
        &info(),
        &adam,
        mia.membership(),
        Role::Client,
        &Secret::default(),
    )
    .await
    .unwrap();
    for _ in 0..3 {
        dispatch_all(&server.house).await.unwrap();
        let tx = server.house.db().begin().await.unwrap();
        // As after a crash between the effects and the mark.
        entity::Event::update_many()
            .col_expr(
                entity::event::Column::DispatchedAt,
                Expr::value(None::<app::domain::Timestamp>),
            )
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let event = entity::event::Column::EventType.eq("member.role_changed");
    let event = entity::Event::find()
        .filter(event)
        .one(server.house.db().read())
        .await
        .unwrap()
        .unwrap();
    let rows = entity::Notification::find()
        .filter(entity::notification::Column::EventId.eq(event.id))
        .count(server.house.db().read())
        .await
        .unwrap();
    assert_eq!(rows, 3, "Olivia, Mia and Cleo, once each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_tells_the_person_by_both_channels() {
    let server = quiet_server().await;
    let fields = [
        ("form[email]", "mia@acme.example".to_owned()),
        ("form[password]", app::db::seed::PASSWORD.to_owned()),
    ];
    server.call("nobody", "/fn/sign_in", &fields).await;
    dispatch_all(&server.house).await.unwrap();
    assert_eq!(inbox_of(&server, "mia").await, 1);
    assert_eq!(inbox_of(&server, "adam").await, 0);
    let sent = mails(&server).await;
    assert_eq!(sent.len(), 1);
    assert!(sent[0].subject.starts_with("New sign-in from "));
}
