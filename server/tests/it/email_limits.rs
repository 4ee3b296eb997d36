//! How much email events cause: none to addresses that may be a stranger's, few to others, and one that sums up the rest.

use domain::catalog::{Category, Channel, EventType, Mode};
use domain::notifications::Switch;
use domain::session::SignUp;
use domain::{Email, Name, Secret, Timestamp, UserId};
use serde_json::json;
use store::auth::{Actor, Caller, sessions};
use store::context::{AppContext, Site};
use store::db::entity;
use store::db::sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use store::email::digest;
use store::email::limits::{
    PER_PERSON, PER_WORKSPACE, SECURITY_PER_PERSON, SECURITY_UNCONFIRMED, WINDOW,
};
use store::events::{NewEvent, Origin, record};
use store::master_key::MasterKey;
use store::notifications as preferences;
use store::passwords::Passwords;
use store::rate_limit::auth::AuthLimits;
use wheelhouse::work::dispatch::dispatch_all;

use crate::api::{ACME, Wish, ask, make_key, post, problem};
use crate::both::both;
use crate::support::{Server, info, state};

const PASSWORD: &str = "seven unrelated purple teapots";

async fn quiet(ctx: &AppContext) {
    dispatch_all(ctx).await.unwrap();
    let tx = ctx.db().begin().await.unwrap();
    entity::Notification::delete_many().exec(&tx).await.unwrap();
    entity::OutboxEmail::delete_many().exec(&tx).await.unwrap();
    entity::EmailWindow::delete_many().exec(&tx).await.unwrap();
    entity::WorkspaceEmailWindow::delete_many()
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn actor(server: &Server, who: &str) -> Actor {
    let cookie = server.cookies[who].expose().to_owned();
    Caller::new(server.ctx.clone(), info(), Some(cookie))
        .actor("acme")
        .await
        .unwrap()
}

async fn turn_on(server: &Server, who: &str, category: Category) -> Actor {
    let actor = actor(server, who).await;
    let cell = Switch::Cell(category, Channel::Email);
    preferences::set(&server.ctx, actor.person(), cell, true)
        .await
        .unwrap();
    actor
}

async fn emails_to(server: &Server, email: &str) -> Vec<entity::outbox_email::Model> {
    entity::OutboxEmail::find()
        .filter(entity::outbox_email::Column::Recipient.eq(email))
        .all(server.ctx.db().read())
        .await
        .unwrap()
}

async fn inbox_of(ctx: &AppContext, user: UserId) -> u64 {
    entity::Notification::find()
        .filter(entity::notification::Column::UserId.eq(user))
        .count(ctx.db().read())
        .await
        .unwrap()
}

async fn announce(ctx: &AppContext, actor: &Actor, count: usize) {
    let mut tx = ctx.db().begin().await.unwrap();
    for n in 0..count {
        let data = json!({"title": format!("Announcement {n}")});
        let event = NewEvent::in_workspace(actor.workspace(), EventType::SystemAnnouncement, data);
        record(&mut tx, Origin::system(), event).await.unwrap();
    }
    tx.commit().await.unwrap();
}

fn later() -> Timestamp {
    Timestamp::now().after(WINDOW)
}

/// The same installation with SMTP, so that it asks people to confirm their address.
fn with_email(server: &Server) -> AppContext {
    let site = Site {
        sends_mail: true,
        ..server.ctx.site().clone()
    };
    AppContext::new(
        server.ctx.db().clone(),
        site,
        MasterKey::new([7; 32]),
        Passwords::quick_for_tests(),
        AuthLimits::off(),
    )
}

/// Somebody who signed up with an address that may not be theirs.
async fn stranger(ctx: &AppContext) -> Actor {
    let form = SignUp {
        name: Name::parse("Sly").unwrap(),
        email: Email::parse("victim@new.example").unwrap(),
        password: Secret::from(PASSWORD),
        workspace: Name::parse("Sly Corp").unwrap(),
    };
    let begun = sessions::sign_up(ctx, &info(), form).await.unwrap();
    Caller::new(ctx.clone(), info(), Some(begun.cookie.expose().to_owned()))
        .actor("sly-corp")
        .await
        .unwrap()
}

both! {
    async fn a_flood_is_a_few_emails_and_one_that_sums_up(server) {
        quiet(&server.ctx).await;
        let mia = turn_on(server, "mia", Category::System).await;
        announce(&server.ctx, &mia, 100).await;
        dispatch_all(&server.ctx).await.unwrap();
        let few = usize::try_from(PER_PERSON).unwrap();
        assert_eq!(emails_to(server, "mia@acme.example").await.len(), few);
        assert_eq!(inbox_of(&server.ctx, mia.person().id()).await, 100, "nothing is lost");

        assert_eq!(digest::send_due(&server.ctx, Timestamp::now()).await.unwrap(), 0, "not yet");
        announce(&server.ctx, &mia, 1).await;
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(emails_to(server, "mia@acme.example").await.len(), few);

        let rounds = (0..3).map(|_| digest::send_due(&server.ctx, later()));
        futures::future::try_join_all(rounds).await.unwrap();
        let emails = emails_to(server, "mia@acme.example").await;
        assert_eq!(emails.len(), few + 1, "one, however many processes look");
        let last = emails.iter().find(|mail| mail.event_id.is_none()).unwrap();
        assert_eq!(last.subject, format!("{} more notifications in Acme", 101 - few));
        let text = store::email::decrypt(&server.ctx, last).unwrap().text;
        assert!(text.contains("/w/acme/inbox") && text.contains("System"), "{text}");

        announce(&server.ctx, &mia, 3).await;
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(emails_to(server, "mia@acme.example").await.len(), few + 4, "a new window");
        digest::send_due(&server.ctx, later()).await.unwrap();
        assert_eq!(emails_to(server, "mia@acme.example").await.len(), few + 4, "nothing was held");
    }

    async fn several_processes_share_one_allowance(server) {
        quiet(&server.ctx).await;
        let mia = turn_on(server, "mia", Category::System).await;
        announce(&server.ctx, &mia, 450).await;
        let all = (0..4).map(|_| dispatch_all(&server.ctx));
        futures::future::try_join_all(all).await.unwrap();
        let few = usize::try_from(PER_PERSON).unwrap();
        assert_eq!(emails_to(server, "mia@acme.example").await.len(), few);
        digest::send_due(&server.ctx, later()).await.unwrap();
        let emails = emails_to(server, "mia@acme.example").await;
        assert!(emails.iter().any(|mail| mail.subject == format!("{} more notifications in Acme", 450 - few)));
    }

    async fn a_window_that_is_over_waits_for_what_it_held(server) {
        quiet(&server.ctx).await;
        let mia = turn_on(server, "mia", Category::System).await;
        announce(&server.ctx, &mia, 30).await;
        dispatch_all(&server.ctx).await.unwrap();
        let tx = server.ctx.db().begin().await.unwrap();
        entity::EmailWindow::update_many()
            .col_expr(entity::email_window::Column::EndsAt, store::db::sea_orm::sea_query::Expr::value(Timestamp::now()))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        announce(&server.ctx, &mia, 5).await;
        dispatch_all(&server.ctx).await.unwrap();
        digest::send_due(&server.ctx, Timestamp::now()).await.unwrap();
        let emails = emails_to(server, "mia@acme.example").await;
        let sum = format!("{} more notifications in Acme", 35 - PER_PERSON);
        assert!(emails.iter().any(|mail| mail.subject == sum), "{emails:?}");
    }

    async fn what_was_turned_off_meanwhile_is_not_summed_up(server) {
        quiet(&server.ctx).await;
        let mia = turn_on(server, "mia", Category::System).await;
        announce(&server.ctx, &mia, 30).await;
        dispatch_all(&server.ctx).await.unwrap();
        let before = emails_to(server, "mia@acme.example").await.len();
        let cell = Switch::Cell(Category::System, Channel::Email);
        preferences::set(&server.ctx, mia.person(), cell, false).await.unwrap();
        digest::send_due(&server.ctx, later()).await.unwrap();
        assert_eq!(emails_to(server, "mia@acme.example").await.len(), before);
    }

    async fn a_workspace_has_an_allowance_for_all_of_its_members(server) {
        quiet(&server.ctx).await;
        let mia = turn_on(server, "mia", Category::System).await;
        let tx = server.ctx.db().begin().await.unwrap();
        entity::WorkspaceEmailWindow::insert(entity::workspace_email_window::ActiveModel {
            workspace_id: store::db::sea_orm::Set(mia.workspace()),
            ends_at: store::db::sea_orm::Set(later()),
            sent: store::db::sea_orm::Set(PER_WORKSPACE - 1),
        })
        .exec_without_returning(&tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
        announce(&server.ctx, &mia, 3).await;
        dispatch_all(&server.ctx).await.unwrap();
        assert_eq!(emails_to(server, "mia@acme.example").await.len(), 1);
        digest::send_due(&server.ctx, later()).await.unwrap();
        let emails = emails_to(server, "mia@acme.example").await;
        assert!(emails.iter().any(|mail| mail.subject == "2 more notifications in Acme"), "{emails:?}");
    }

    async fn a_flood_does_not_hold_up_what_concerns_ones_own_security(server) {
        quiet(&server.ctx).await;
        let mia = turn_on(server, "mia", Category::System).await;
        announce(&server.ctx, &mia, 100).await;
        let mut tx = server.ctx.db().begin().await.unwrap();
        let event = NewEvent::about_person(mia.person().id(), EventType::SecurityPasswordChanged, json!({}));
        record(&mut tx, mia.person(), event).await.unwrap();
        tx.commit().await.unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        let emails = emails_to(server, "mia@acme.example").await;
        assert!(emails.iter().any(|mail| mail.subject == "Your password was changed"));

        let mut tx = server.ctx.db().begin().await.unwrap();
        for _ in 0..100 {
            let event = NewEvent::about_person(mia.person().id(), EventType::SecuritySignedIn, json!({}));
            record(&mut tx, mia.person(), event).await.unwrap();
        }
        tx.commit().await.unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        let emails = emails_to(server, "mia@acme.example").await.len();
        assert!(i64::try_from(emails).unwrap() <= PER_PERSON + SECURITY_PER_PERSON, "{emails}");
    }

    async fn an_address_that_is_not_confirmed_gets_no_notification_whatever_it_came_by(server) {
        let ctx = with_email(server);
        let sly = stranger(&ctx).await;
        quiet(&ctx).await;
        for category in Category::ALL {
            let cell = Switch::Cell(category, Channel::Email);
            preferences::set(&ctx, sly.person(), cell, true).await.unwrap();
        }
        let mut tx = ctx.db().begin().await.unwrap();
        for event_type in EventType::ALL {
            let data = json!({"title": "https://evil.example", "name": "https://evil.example", "credits": 5, "url": "https://evil.example"});
            let event = NewEvent::in_workspace(sly.workspace(), event_type, data);
            record(&mut tx, Origin::system(), event.clone()).await.unwrap();
            record(&mut tx, Origin::system(), event.about(sly.person().id())).await.unwrap();
        }
        tx.commit().await.unwrap();
        dispatch_all(&ctx).await.unwrap();
        assert_eq!(emails_to(server, "victim@new.example").await, []);
        assert!(inbox_of(&ctx, sly.person().id()).await > 50, "the inbox is theirs");
        digest::send_due(&ctx, later()).await.unwrap();
        assert_eq!(emails_to(server, "victim@new.example").await, []);
    }

    async fn an_address_that_is_not_confirmed_gets_little_of_its_own_security(server) {
        let ctx = with_email(server);
        let sly = stranger(&ctx).await;
        quiet(&ctx).await;
        for _ in 0..50 {
            sessions::sign_in(&ctx, &info(), "victim@new.example", &Secret::from(PASSWORD)).await.unwrap();
        }
        dispatch_all(&ctx).await.unwrap();
        digest::send_due(&ctx, later()).await.unwrap();
        let emails = emails_to(server, "victim@new.example").await;
        assert_eq!(i64::try_from(emails.len()).unwrap(), SECURITY_UNCONFIRMED);
        assert_eq!(inbox_of(&ctx, sly.person().id()).await, 50);
    }

    async fn a_key_of_a_workspace_that_nobody_confirmed_reports_nothing(server) {
        let ctx = with_email(server);
        let sly = stranger(&ctx).await;
        let app = state(&ctx);
        let server = Server {
            router: wheelhouse::http::router(app.clone()),
            state: app,
            ctx: ctx.clone(),
            cookies: server.cookies.clone(),
            database: crate::support::Database { url: server.database.url.clone(), folder: None },
        };
        let wish = |mode| Wish { workspace: "sly-corp", mode, ..ACME };
        let event = || json!({"type": "system.announcement", "data": {"title": "Pay here"}});
        let hook = || json!({"url": "https://hooks.example.com/in"});
        let keys = [make_key(&ctx, wish(Mode::Live)).await, make_key(&ctx, wish(Mode::Test)).await];
        for key in &keys {
            for (path, body) in [("/events", event()), ("/webhooks", hook())] {
                let answer = ask(&server, key, post(path, body)).await;
                assert_eq!(answer.status, 403, "{path}: {}", answer.body);
                assert_eq!(problem(&answer)["type"], "/api/docs#problem-unconfirmed");
            }
        }
        let message = entity::OutboxEmail::find()
            .filter(entity::outbox_email::Column::Recipient.eq("victim@new.example"))
            .one(ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        let text = store::email::decrypt(&ctx, &message).unwrap().text;
        let token = text.split("/confirm-email/").nth(1).unwrap().split_whitespace().next().unwrap();
        assert!(sessions::confirm_address(&ctx, &Secret::from(token)).await.unwrap());
        for key in &keys {
            let answer = ask(&server, key, post("/events", event())).await;
            assert_eq!(answer.status, 201, "at once: {}", answer.body);
        }
        drop(sly);
    }

    async fn what_notifications_show_is_short_or_refused(server) {
        let key = make_key(&server.ctx, ACME).await;
        for (event_type, field) in [
            ("system.announcement", "title"),
            ("automation.failed", "name"),
            ("automation.failed", "detail"),
            ("contact.stage_changed", "to"),
        ] {
            let event = json!({"type": event_type, "data": {field: "x".repeat(60_000)}});
            let answer = ask(server, &key, post("/events", event)).await;
            assert_eq!(answer.status, 422, "{}", answer.body);
            assert!(problem(&answer)["errors"][format!("data.{field}")].is_string(), "{}", answer.body);
        }
    }

    async fn what_older_events_say_is_shortened_where_it_is_shown(server) {
        quiet(&server.ctx).await;
        let mia = turn_on(server, "mia", Category::System).await;
        let mut tx = server.ctx.db().begin().await.unwrap();
        let data = json!({"title": format!("https://evil.example {}", "x".repeat(60_000))});
        let event = NewEvent::in_workspace(mia.workspace(), EventType::SystemAnnouncement, data);
        record(&mut tx, Origin::system(), event).await.unwrap();
        tx.commit().await.unwrap();
        dispatch_all(&server.ctx).await.unwrap();
        let mail = emails_to(server, "mia@acme.example").await.pop().unwrap();
        let text = store::email::decrypt(&server.ctx, &mail).unwrap();
        assert!(text.text.len() < 2_000 && text.html.len() < 4_000);
        for shown in [&mail.subject, &text.text, &text.html] {
            assert!(!shown.contains("://evil") && !shown.contains("evil.example"), "{shown}");
        }
        let page = server.page("mia", "/w/acme").await;
        assert!(page.body.len() < 200_000, "{}", page.body.len());
    }
}
