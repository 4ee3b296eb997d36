//! Webhooks as people and programs make and change them.

use app::catalog::EventType;
use app::db::Tx;
use app::domain::{AppError, Secret, WebhookId};
use app::session::Agent;
use app::settings::webhooks::filter::Filter;
use app::settings::webhooks::model::{Operator, Status};
use app::settings::webhooks::wire::{WebhookIn, WebhookOut, WebhookPatch};
use app::settings::webhooks::{deliveries, store, view};
use serde_json::json;

use crate::support::{ADAM, CLEO, GRETA, MIA, World, both};

async fn agent(world: &World, email: &str, workspace: &str) -> Agent {
    world.actor(email, workspace).await.into()
}

async fn tx(world: &World) -> Tx {
    world.house.db().begin().await.unwrap()
}

fn input(url: &str) -> WebhookIn {
    WebhookIn {
        url: url.to_owned(),
        event_types: vec!["contact.created".into()],
        ..WebhookIn::default()
    }
}

async fn created(world: &World, agent: &Agent, url: &str) -> WebhookOut {
    let mut tx = tx(world).await;
    let made = store::create(&mut tx, &world.house, agent, &input(url))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    made
}

async fn changed(
    world: &World,
    agent: &Agent,
    id: WebhookId,
    patch: WebhookPatch,
) -> Result<WebhookOut, AppError> {
    let mut tx = tx(world).await;
    let out = store::update(&mut tx, &world.house, agent, id, &patch).await?;
    tx.commit().await?;
    Ok(out)
}

both! {
    async fn a_new_webhook_shows_its_secret_once_and_is_an_event(world) {
        let adam = agent(world, ADAM, "acme").await;
        let made = created(world, &adam, "https://example.com/in").await;
        assert!(made.secret.as_ref().unwrap().expose().starts_with("whsec_"));
        let found = store::find(&world.house, &adam, made.id).await.unwrap();
        assert_eq!((found.secret, found.status), (None, Status::Enabled));
        assert_eq!(store::secret(&world.house, &adam, made.id).await.unwrap(), made.secret.unwrap());
        assert_eq!(world.events(EventType::WebhookCreated).await, 1);
    }

    async fn who_may_not_is_refused_and_another_workspaces_does_not_exist(world) {
        let adam = agent(world, ADAM, "acme").await;
        let id = created(world, &adam, "https://example.com/in").await.id;
        for email in [MIA, CLEO] {
            let other = agent(world, email, "acme").await;
            let mut tx = tx(world).await;
            for refused in [
                store::find(&world.house, &other, id).await.err(),
                store::list(&world.house, &other, None, 10).await.err(),
                store::secret(&world.house, &other, id).await.err(),
                store::create(&mut tx, &world.house, &other, &input("https://example.com")).await.err(),
                store::remove(&mut tx, &other, id).await.err(),
                store::test(&mut tx, &other, id, EventType::ContactCreated).await.err(),
            ] {
                assert!(matches!(refused, Some(AppError::Forbidden { .. })), "{refused:?}");
            }
        }
        let greta = agent(world, GRETA, "globex").await;
        let mut tx = tx(world).await;
        for refused in [
            store::find(&world.house, &greta, id).await.err(),
            store::secret(&world.house, &greta, id).await.err(),
            store::deliveries(&world.house, &greta, id, deliveries::Wanted::default(), 10).await.err(),
            store::update(&mut tx, &world.house, &greta, id, &WebhookPatch::default()).await.err(),
            store::rotate_secret(&mut tx, &world.house, &greta, id).await.err(),
            store::remove(&mut tx, &greta, id).await.err(),
            store::test(&mut tx, &greta, id, EventType::ContactCreated).await.err(),
        ] {
            assert_eq!(refused, Some(AppError::NotFound));
        }
        drop(tx);
        assert!(store::list(&world.house, &greta, None, 10).await.unwrap().0.is_empty());
    }

    async fn another_url_gets_another_secret_and_other_changes_do_not(world) {
        let adam = agent(world, ADAM, "acme").await;
        let made = created(world, &adam, "https://example.com/in").await;
        let patch = WebhookPatch { description: Some("The CRM".into()), ..WebhookPatch::default() };
        let out = changed(world, &adam, made.id, patch).await.unwrap();
        assert_eq!((out.description.as_deref(), out.secret), (Some("The CRM"), None));
        let patch = WebhookPatch { url: Some("https://example.org/in".into()), ..WebhookPatch::default() };
        let out = changed(world, &adam, made.id, patch.clone()).await.unwrap();
        assert!(out.secret.is_some() && out.secret != made.secret);
        assert_eq!(world.events(EventType::WebhookUpdated).await, 2);
        assert_eq!(changed(world, &adam, made.id, patch).await.unwrap().secret, None);
        assert_eq!(world.events(EventType::WebhookUpdated).await, 2, "nothing changed, nothing happened");
    }

    async fn what_is_refused_changes_nothing(world) {
        let adam = agent(world, ADAM, "acme").await;
        let id = created(world, &adam, "https://example.com/in").await.id;
        let patch = WebhookPatch {
            url: Some("http://169.254.169.254/latest".into()),
            description: Some("Changed".into()),
            status: Some(Status::Disabled),
            ..WebhookPatch::default()
        };
        let Err(AppError::Invalid(errors)) = changed(world, &adam, id, patch).await else { panic!("it was taken") };
        assert!(errors.get("url").is_some() && errors.get("status").is_some());
        assert_eq!(store::find(&world.house, &adam, id).await.unwrap().description, None);
    }

    async fn custom_headers_are_sealed_and_kept_by_name(world) {
        use app::db::entity::Webhook;
        use sea_orm::EntityTrait;
        let adam = agent(world, ADAM, "acme").await;
        let mut new = input("https://example.com/in");
        new.headers = [("X-Key".to_owned(), Secret::from("open sesame"))].into();
        let mut tx = tx(world).await;
        let id = store::create(&mut tx, &world.house, &adam, &new).await.unwrap().id;
        tx.commit().await.unwrap();
        let row = async || Webhook::find_by_id(id).one(world.house.db().read()).await.unwrap().unwrap();
        let sealed = row().await.headers.unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"open" || part == b"x-ke"));
        let patch = WebhookPatch {
            headers: Some([("x-key".to_owned(), None), ("x-new".to_owned(), Some(Secret::from("b")))].into()),
            ..WebhookPatch::default()
        };
        changed(world, &adam, id, patch).await.unwrap();
        let headers = app::settings::webhooks::signing::headers(&world.house, &row().await).unwrap();
        let headers: Vec<_> = headers.iter().map(|header| (header.name.as_str(), header.value.expose())).collect();
        assert_eq!(headers, [("x-key", "open sesame"), ("x-new", "b")]);
        let shown = view::detail(&world.house, &world.actor(ADAM, "acme").await, id, deliveries::Wanted::default(), None).await.unwrap();
        assert!(!format!("{shown:?}").contains("sesame"));
    }

    async fn a_dry_run_says_which_events_would_be_sent_and_why_the_others_not(world) {
        let adam = agent(world, ADAM, "acme").await;
        let filters = [Filter { path: "data.stage".into(), operator: Operator::Equals, value: Some(json!("won")) }];
        let done = store::dry_run(&world.house, &adam, &[EventType::ContactCreated], &filters, false).await.unwrap();
        assert!(done.keep && !done.results.is_empty());
        let good = done.results.iter().filter(|line| line.good).count();
        assert!(good > 0, "Acme has won somebody");
        assert!(done.results.iter().any(|line| line.message == "data.stage is “lead”, not “won”"));
        assert!(done.results.iter().any(|line| line.message == "its type is not chosen"));
    }

    async fn lists_page_by_key(world) {
        let adam = agent(world, ADAM, "acme").await;
        let before = store::list(&world.house, &adam, None, 100).await.unwrap().0.len();
        for n in 0..3 {
            created(world, &adam, &format!("https://example.com/{n}")).await;
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = store::list(&world.house, &adam, after, 2).await.unwrap();
            assert!(page.len() <= 2);
            seen.extend(page.into_iter().map(|webhook| webhook.id));
            after = next;
            if after.is_none() { break }
        }
        assert_eq!(seen.len(), before + 3);
        assert!(seen.is_sorted());
    }

    async fn a_deleted_webhook_takes_its_deliveries_along(world) {
        use app::db::entity::Delivery;
        use sea_orm::{EntityTrait, PaginatorTrait};
        let adam = agent(world, ADAM, "acme").await;
        let (all, _) = store::list(&world.house, &adam, None, 10).await.unwrap();
        assert!(Delivery::find().count(world.house.db().read()).await.unwrap() > 0);
        let mut tx = tx(world).await;
        for webhook in &all {
            store::remove(&mut tx, &adam, webhook.id).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(Delivery::find().count(world.house.db().read()).await.unwrap(), 0);
        assert_eq!(world.events(EventType::WebhookDeleted).await, all.len() as u64);
    }

    async fn a_curl_command_holds_a_signature_and_no_surprises(world) {
        let adam = agent(world, ADAM, "acme").await;
        let (all, _) = store::list(&world.house, &adam, None, 10).await.unwrap();
        let wanted = deliveries::Wanted::default();
        let (rows, _) = store::deliveries(&world.house, &adam, all[0].id, wanted, 10).await.unwrap();
        let command = deliveries::curl(&world.house, &adam, rows[0].id).await.unwrap();
        assert!(command.starts_with("curl -i 'https://hooks.acme.example/wheelhouse' -H 'content-type: application/json'"), "{command}");
        assert!(command.contains("-H 'webhook-signature: v1,"));
        assert!(!command.contains("whsec_"));
        let greta = agent(world, GRETA, "globex").await;
        assert_eq!(deliveries::curl(&world.house, &greta, rows[0].id).await, Err(AppError::NotFound));
    }
}
