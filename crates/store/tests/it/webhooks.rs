//! Webhooks as people and programs make and change them.

use domain::api_keys::NewKey;
use domain::catalog::{EventType, Mode, Scope};
use domain::webhooks::{MAX_WEBHOOKS, Operator, Status};
use domain::{AppError, Name, Secret, Timestamp, WebhookId, days};
use sea_orm::EntityTrait;
use serde_json::json;
use store::api_keys;
use store::auth::Principal;
use store::db::{Tx, entity};
use store::webhooks::dto::{CreateWebhookRequest, UpdateWebhookRequest, Webhook};
use store::webhooks::filter::Filter;
use store::webhooks::matcher::{self, SubscriptionFilter};
use store::webhooks::{self, deliveries, signing, view};

use crate::support::{ADAM, CLEO, GRETA, MIA, TestEnv, both, check_key, info};

async fn principal(env: &TestEnv, email: &str, workspace: &str) -> Principal {
    env.actor(email, workspace).await.into()
}

/// A program with a key that someone has just made.
async fn program(env: &TestEnv, email: &str, workspace: &str, mode: Mode) -> Principal {
    let actor = env.actor(email, workspace).await;
    let wish = NewKey {
        name: Name::parse("Importer").unwrap(),
        mode,
        scopes: vec![Scope::WebhooksWrite],
        expires_at: None,
    };
    let (info, none) = (info(), Secret::default());
    let key = api_keys::create(
        &env.ctx,
        &info,
        &actor.permit().unwrap(),
        wish,
        Vec::new(),
        &none,
    )
    .await
    .unwrap()
    .secret
    .unwrap();
    check_key(&env.keys, &env.ctx, key.expose(), info.address)
        .await
        .unwrap()
        .into()
}

async fn tx(env: &TestEnv) -> Tx {
    env.ctx.db().begin().await.unwrap()
}

fn input(url: &str) -> CreateWebhookRequest {
    CreateWebhookRequest {
        url: url.to_owned(),
        event_types: vec!["contact.created".into()],
        ..CreateWebhookRequest::default()
    }
}

async fn created(env: &TestEnv, principal: &Principal, url: &str) -> Webhook {
    let mut tx = tx(env).await;
    let made = webhooks::create(&mut tx, &env.ctx, &principal.permit().unwrap(), &input(url))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    made
}

async fn changed(
    env: &TestEnv,
    principal: &Principal,
    id: WebhookId,
    patch: UpdateWebhookRequest,
) -> Result<Webhook, AppError> {
    let mut tx = tx(env).await;
    let out = webhooks::update(&mut tx, &env.ctx, &principal.permit()?, id, &patch).await?;
    tx.commit().await?;
    Ok(out)
}

both! {
    async fn a_new_webhook_shows_its_secret_once_and_is_an_event(env) {
        let adam = principal(env, ADAM, "acme").await;
        let made = created(env, &adam, "https://example.com/in").await;
        assert!(made.secret.as_ref().unwrap().expose().starts_with("whsec_"));
        let found = webhooks::find(&env.ctx, &adam.permit_read().unwrap(), made.id).await.unwrap();
        assert_eq!((found.secret, found.status), (None, Status::Enabled));
        assert_eq!(webhooks::secret(&env.ctx, &adam.permit_read().unwrap(), made.id).await.unwrap(), made.secret.unwrap());
        assert_eq!(env.events(EventType::WebhookCreated).await, 1);
    }

    async fn who_may_not_is_refused_and_another_workspaces_does_not_exist(env) {
        let adam = principal(env, ADAM, "acme").await;
        let id = created(env, &adam, "https://example.com/in").await.id;
        for email in [MIA, CLEO] {
            let other = principal(env, email, "acme").await;
            let mut tx = tx(env).await;
            for refused in [
                async { webhooks::find(&env.ctx, &other.permit_read()?, id).await }.await.err(),
                async { webhooks::list(&env.ctx, &other.permit_read()?, None, 10).await }.await.err(),
                async { webhooks::secret(&env.ctx, &other.permit_read()?, id).await }.await.err(),
                async { webhooks::create(&mut tx, &env.ctx, &other.permit()?, &input("https://example.com")).await }.await.err(),
                async { webhooks::remove(&mut tx, &other.permit()?, id).await }.await.err(),
                async { webhooks::test(&mut tx, &other.permit()?, id, EventType::ContactCreated).await }.await.err(),
            ] {
                assert!(matches!(refused, Some(AppError::Forbidden { .. })), "{refused:?}");
            }
        }
        let greta = principal(env, GRETA, "globex").await;
        let mut tx = tx(env).await;
        for refused in [
            async { webhooks::find(&env.ctx, &greta.permit_read()?, id).await }.await.err(),
            async { webhooks::secret(&env.ctx, &greta.permit_read()?, id).await }.await.err(),
            async { deliveries(&env.ctx, &greta.permit_read()?, id, deliveries::DeliveryQuery::default(), 10).await }.await.err(),
            async { webhooks::update(&mut tx, &env.ctx, &greta.permit()?, id, &UpdateWebhookRequest::default()).await }.await.err(),
            async { webhooks::rotate_secret(&mut tx, &env.ctx, &greta.permit()?, id).await }.await.err(),
            async { webhooks::remove(&mut tx, &greta.permit()?, id).await }.await.err(),
            async { webhooks::test(&mut tx, &greta.permit()?, id, EventType::ContactCreated).await }.await.err(),
        ] {
            assert_eq!(refused, Some(AppError::NotFound));
        }
        drop(tx);
        assert!(webhooks::list(&env.ctx, &greta.permit_read().unwrap(), None, 10).await.unwrap().0.is_empty());
    }

    async fn another_url_gets_another_secret_and_other_changes_do_not(env) {
        let adam = principal(env, ADAM, "acme").await;
        let made = created(env, &adam, "https://example.com/in").await;
        let patch = UpdateWebhookRequest { description: Some("The CRM".into()), ..UpdateWebhookRequest::default() };
        let out = changed(env, &adam, made.id, patch).await.unwrap();
        assert_eq!((out.description.as_deref(), out.secret), (Some("The CRM"), None));
        let patch = UpdateWebhookRequest { url: Some("https://example.org/in".into()), ..UpdateWebhookRequest::default() };
        let out = changed(env, &adam, made.id, patch.clone()).await.unwrap();
        assert!(out.secret.is_some() && out.secret != made.secret);
        assert_eq!(env.events(EventType::WebhookUpdated).await, 2);
        assert_eq!(changed(env, &adam, made.id, patch).await.unwrap().secret, None);
        assert_eq!(env.events(EventType::WebhookUpdated).await, 2, "nothing changed, nothing happened");
    }

    async fn what_is_refused_changes_nothing(env) {
        let adam = principal(env, ADAM, "acme").await;
        let id = created(env, &adam, "https://example.com/in").await.id;
        let patch = UpdateWebhookRequest {
            url: Some("http://169.254.169.254/latest".into()),
            description: Some("Changed".into()),
            status: Some(Status::Disabled),
            ..UpdateWebhookRequest::default()
        };
        let Err(AppError::Invalid(errors)) = changed(env, &adam, id, patch).await else { panic!("it was taken") };
        assert!(errors.get("url").is_some() && errors.get("status").is_some());
        assert_eq!(webhooks::find(&env.ctx, &adam.permit_read().unwrap(), id).await.unwrap().description, None);
    }

    async fn custom_headers_are_sealed_and_kept_by_name(env) {
        let adam = principal(env, ADAM, "acme").await;
        let mut new = input("https://example.com/in");
        new.headers = [("X-Key".to_owned(), Secret::from("open sesame"))].into();
        let mut tx = tx(env).await;
        let id = webhooks::create(&mut tx, &env.ctx, &adam.permit().unwrap(), &new).await.unwrap().id;
        tx.commit().await.unwrap();
        let row = async || entity::Webhook::find_by_id(id).one(env.ctx.db().read()).await.unwrap().unwrap();
        let sealed = row().await.headers.unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"open" || part == b"x-ke"));
        let patch = UpdateWebhookRequest {
            headers: Some([("x-key".to_owned(), None), ("x-new".to_owned(), Some(Secret::from("b")))].into()),
            ..UpdateWebhookRequest::default()
        };
        changed(env, &adam, id, patch).await.unwrap();
        let headers = signing::headers(&env.ctx, &row().await).unwrap();
        let headers: Vec<_> = headers.iter().map(|header| (header.name.as_str(), header.value.expose())).collect();
        assert_eq!(headers, [("x-key", "open sesame"), ("x-new", "b")]);
        let shown = view::detail(&env.ctx, &env.actor(ADAM, "acme").await.permit_read().unwrap(), id, deliveries::DeliveryQuery::default(), None).await.unwrap();
        assert!(!format!("{shown:?}").contains("sesame"));
    }

    async fn a_url_of_another_origin_takes_the_values_of_the_headers_again(env) {
        let adam = principal(env, ADAM, "acme").await;
        let mut new = input("https://example.com/in");
        new.headers = [("X-Key".to_owned(), Secret::from("open sesame")), ("X-Other".to_owned(), Secret::from("b"))].into();
        let mut tx = tx(env).await;
        let made = webhooks::create(&mut tx, &env.ctx, &adam.permit().unwrap(), &new).await.unwrap();
        tx.commit().await.unwrap();
        let row = async || entity::Webhook::find_by_id(made.id).one(env.ctx.db().read()).await.unwrap().unwrap();
        let sent = async || {
            let headers = signing::headers(&env.ctx, &row().await).unwrap();
            headers.iter().map(|header| format!("{}={}", header.name, header.value.expose())).collect::<Vec<_>>()
        };
        let to = |url: &str, headers: Option<&[(&str, Option<&str>)]>| UpdateWebhookRequest {
            url: Some(url.into()),
            description: Some("Changed".into()),
            headers: headers.map(|headers| headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(Secret::from))).collect()),
            ..UpdateWebhookRequest::default()
        };
        let before = row().await;
        for elsewhere in ["https://evil.example/in", "http://example.com/in", "https://example.com:8443/in", "https://example.com.evil.example/in"] {
            for headers in [None, Some(&[("x-key", None), ("x-other", Some("b"))][..]), Some(&[("X-KEY", None)][..])] {
                let refused = changed(env, &adam, made.id, to(elsewhere, headers)).await;
                let Err(AppError::Invalid(errors)) = refused else { panic!("{elsewhere} got {headers:?}: {refused:?}") };
                assert_eq!(errors.iter().map(|(field, _)| field).collect::<Vec<_>>(), ["headers"]);
                assert!(errors.get("headers").unwrap().contains("again"), "{errors:?}");
            }
        }
        assert_eq!(row().await, before, "nothing has changed");

        // The same receiver, however it is written.
        for same in ["https://EXAMPLE.com:443/other", "https://example.com./in?a=1", "https://example.com/in"] {
            let out = changed(env, &adam, made.id, to(same, None)).await.unwrap();
            assert!(out.secret.is_some(), "another URL has another secret");
            assert_eq!(sent().await, ["x-key=open sesame", "x-other=b"]);
        }
        let out = changed(env, &adam, made.id, to("https://example.org/in", Some(&[("x-key", Some("new"))]))).await.unwrap();
        assert!(out.secret.is_some() && out.secret != made.secret);
        assert_eq!(sent().await, ["x-key=new"], "what was not given again is gone");
        changed(env, &adam, made.id, to("https://example.net/in", Some(&[]))).await.unwrap();
        assert!(row().await.headers.is_none());
        // Back again, nothing is remembered.
        changed(env, &adam, made.id, to("https://example.com/in", None)).await.unwrap();
        assert!(row().await.headers.is_none());
    }

    async fn a_dry_run_says_which_events_would_be_sent_and_why_the_others_not(env) {
        let adam = principal(env, ADAM, "acme").await;
        let mut wants = SubscriptionFilter {
            mode: Mode::Live,
            include_test_events: false,
            event_types: vec![EventType::ContactCreated],
            filters: vec![Filter { path: "data.stage".into(), operator: Operator::Equals, value: Some(json!("won")) }],
        };
        let done = matcher::dry_run(&env.ctx, &adam.permit_read().unwrap(), &wants).await.unwrap();
        assert!(done.keep && !done.results.is_empty());
        let good = done.results.iter().filter(|line| line.good).count();
        assert!(good > 0, "Acme has won somebody");
        assert!(done.results.iter().any(|line| line.message == "data.stage is “lead”, not “won”"));
        assert!(done.results.iter().any(|line| line.message == "event type not selected"));
        wants.mode = Mode::Test;
        let done = matcher::dry_run(&env.ctx, &adam.permit_read().unwrap(), &wants).await.unwrap();
        // Of the test env the demo has credits alone, which were not asked for.
        assert!(done.results.iter().all(|line| !line.good));
        assert!(done.results.iter().any(|line| line.message == "live event"));
    }

    async fn a_test_key_sees_and_changes_nothing_of_the_live_world(env) {
        let adam = principal(env, ADAM, "acme").await;
        let test = program(env, ADAM, "acme", Mode::Test).await;
        // The demo's first webhook has a past.
        let (before, _) = webhooks::list(&env.ctx, &adam.permit_read().unwrap(), None, 10).await.unwrap();
        let id = before[0].id;
        let wanted = deliveries::DeliveryQuery::default();
        let (sent, _) = deliveries(&env.ctx, &adam.permit_read().unwrap(), id, wanted, 10).await.unwrap();
        let delivery = sent[0].id;
        let mine = created(env, &test, "https://example.com/in").await;
        assert_eq!((mine.mode, mine.include_test_events), (Mode::Test, true));

        let ctx = &env.ctx;
        let mut tx = tx(env).await;
        let since = Timestamp::now().before(days(100));
        for refused in [
            async { webhooks::find(ctx, &test.permit_read()?, id).await }.await.err(),
            async { webhooks::secret(ctx, &test.permit_read()?, id).await }.await.err(),
            async { deliveries(ctx, &test.permit_read()?, id, wanted, 10).await }.await.err(),
            async { webhooks::update(&mut tx, ctx, &test.permit()?, id, &UpdateWebhookRequest::default()).await }.await.err(),
            async { webhooks::rotate_secret(&mut tx, ctx, &test.permit()?, id).await }.await.err(),
            async { webhooks::remove(&mut tx, &test.permit()?, id).await }.await.err(),
            async { webhooks::test(&mut tx, &test.permit()?, id, EventType::ContactCreated).await }.await.err(),
            async { webhooks::resend(&mut tx, &test.permit()?, delivery).await }.await.err(),
            async { deliveries::recover(&mut tx, &test.permit()?, id, since).await }.await.err(),
            async { deliveries::find(ctx.db().read(), &test.permit_read()?, delivery).await }.await.err(),
            async { deliveries::curl(ctx, &test.permit_read()?, delivery).await }.await.err(),
        ] {
            assert_eq!(refused, Some(AppError::NotFound));
        }
        drop(tx);
        let seen = webhooks::list(ctx, &test.permit_read().unwrap(), None, 10).await.unwrap().0;
        assert_eq!(seen.iter().map(|webhook| webhook.id).collect::<Vec<_>>(), [mine.id]);
        let (after, _) = webhooks::list(ctx, &adam.permit_read().unwrap(), None, 10).await.unwrap();
        assert_eq!(after[..before.len()], before, "as they were");
    }

    async fn people_and_live_keys_look_after_test_webhooks_too(env) {
        let adam = principal(env, ADAM, "acme").await;
        let live = program(env, ADAM, "acme", Mode::Live).await;
        let test = program(env, ADAM, "acme", Mode::Test).await;
        let mine = created(env, &test, "https://example.com/in").await;
        for principal in [&adam, &live] {
            assert_eq!(webhooks::find(&env.ctx, &principal.permit_read().unwrap(), mine.id).await.unwrap().mode, Mode::Test);
            assert_eq!(created(env, principal, "https://example.com/in").await.mode, Mode::Live);
        }
        // What it gets is not theirs to change.
        let patch = UpdateWebhookRequest {
            status: Some(Status::Paused),
            include_test_events: Some(false),
            ..UpdateWebhookRequest::default()
        };
        let out = changed(env, &adam, mine.id, patch).await.unwrap();
        assert_eq!((out.status, out.mode, out.include_test_events), (Status::Paused, Mode::Test, true));
        assert!(view::list(&env.ctx, &adam.permit_read().unwrap()).await.unwrap().webhooks.iter().any(|row| row.mode == Mode::Test));
        let adam = env.actor(ADAM, "acme").await;
        let shown = view::detail(&env.ctx, &adam.permit_read().unwrap(), mine.id, deliveries::DeliveryQuery::default(), None).await.unwrap();
        assert_eq!(shown.mode, Mode::Test);
    }

    async fn many_who_want_the_last_webhook_at_once_get_one_among_them(env) {
        let greta = principal(env, GRETA, "globex").await;
        let mut tx = tx(env).await;
        for n in 1..MAX_WEBHOOKS {
            webhooks::create(&mut tx, &env.ctx, &greta.permit().unwrap(), &input(&format!("https://example.com/{n}"))).await.unwrap();
        }
        tx.commit().await.unwrap();
        let racing = (0..8).map(|_| {
            let (ctx, greta) = (env.ctx.clone(), greta.clone());
            tokio::spawn(async move {
                let mut tx = ctx.db().begin().await.unwrap();
                webhooks::create(&mut tx, &ctx, &greta.permit().unwrap(), &input("https://example.com/last")).await?;
                tx.commit().await?;
                Ok::<_, AppError>(())
            })
        });
        let racing: Vec<_> = racing.collect();
        let mut made = 0;
        for racer in racing {
            match racer.await.unwrap() {
                Ok(()) => made += 1,
                Err(refused) => assert!(matches!(refused, AppError::LimitReached(_)), "{refused:?}"),
            }
        }
        assert_eq!(made, 1);
        assert_eq!(view::list(&env.ctx, &greta.permit_read().unwrap()).await.unwrap().webhooks.len() as u64, MAX_WEBHOOKS);
        // The test env has room of its own.
        let test = program(env, GRETA, "globex", Mode::Test).await;
        created(env, &test, "https://example.com/test").await;
    }

    async fn lists_page_by_key(env) {
        let adam = principal(env, ADAM, "acme").await;
        let before = webhooks::list(&env.ctx, &adam.permit_read().unwrap(), None, 100).await.unwrap().0.len();
        for n in 0..3 {
            created(env, &adam, &format!("https://example.com/{n}")).await;
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = webhooks::list(&env.ctx, &adam.permit_read().unwrap(), after, 2).await.unwrap();
            assert!(page.len() <= 2);
            seen.extend(page.into_iter().map(|webhook| webhook.id));
            after = next;
            if after.is_none() { break }
        }
        assert_eq!(seen.len(), before + 3);
        assert!(seen.is_sorted());
    }

    async fn a_deleted_webhook_takes_its_deliveries_along(env) {
        use store::db::entity::Delivery;
        use sea_orm::{EntityTrait, PaginatorTrait};
        let adam = principal(env, ADAM, "acme").await;
        let (all, _) = webhooks::list(&env.ctx, &adam.permit_read().unwrap(), None, 10).await.unwrap();
        assert!(Delivery::find().count(env.ctx.db().read()).await.unwrap() > 0);
        let mut tx = tx(env).await;
        for webhook in &all {
            webhooks::remove(&mut tx, &adam.permit().unwrap(), webhook.id).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(Delivery::find().count(env.ctx.db().read()).await.unwrap(), 0);
        assert_eq!(env.events(EventType::WebhookDeleted).await, all.len() as u64);
    }

    async fn a_curl_command_holds_a_signature_and_no_surprises(env) {
        let adam = principal(env, ADAM, "acme").await;
        let (all, _) = webhooks::list(&env.ctx, &adam.permit_read().unwrap(), None, 10).await.unwrap();
        let wanted = deliveries::DeliveryQuery::default();
        let (rows, _) = deliveries(&env.ctx, &adam.permit_read().unwrap(), all[0].id, wanted, 10).await.unwrap();
        let command = deliveries::curl(&env.ctx, &adam.permit_read().unwrap(), rows[0].id).await.unwrap();
        assert!(command.starts_with("curl -i 'https://hooks.acme.example/wheelhouse' -H 'content-type: application/json'"), "{command}");
        assert!(command.contains("-H 'webhook-signature: v1,"));
        assert!(!command.contains("whsec_"));
        let greta = principal(env, GRETA, "globex").await;
        assert_eq!(async { deliveries::curl(&env.ctx, &greta.permit_read()?, rows[0].id).await }.await, Err(AppError::NotFound));
    }
}
