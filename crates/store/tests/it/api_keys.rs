use std::net::IpAddr;
use std::time::Duration;

use domain::api_keys::{Filter, Grace, MAX_KEYS, NewKey, Status};
use domain::catalog::{EventType, Mode, Scope};
use domain::form::FormSuccess;
use domain::{ApiKeyId, AppError, Name, Secret, Timestamp, days};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use store::api_keys::usage::{self, RequestLine};
use store::api_keys::{self, views};
use store::auth::Actor;
use store::auth::api_keys::KeyRefusal;
use store::auth::key_changes::KeyChange;
use store::auth::key_token::KeyToken;
use store::context::AppContext;
use store::db::entity;
use store::members;

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, TestEnv, both, check_key as check, info};

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn wish(name: &str) -> NewKey {
    NewKey {
        name: Name::parse(name).unwrap(),
        mode: Mode::Live,
        scopes: vec![Scope::ContactsRead, Scope::ContactsWrite],
        expires_at: None,
    }
}

async fn make(ctx: &AppContext, actor: &Actor, wish: NewKey) -> Result<FormSuccess, AppError> {
    api_keys::create(ctx, &info(), actor, wish, Vec::new(), &Secret::default()).await
}

/// Makes a key called `name`, and gives its id and itself.
async fn made(env: &TestEnv, actor: &Actor, name: &str) -> (ApiKeyId, Secret) {
    let done = make(&env.ctx, actor, wish(name)).await.unwrap();
    (newest(env, name).await.id, done.secret.unwrap())
}

async fn newest(env: &TestEnv, name: &str) -> entity::api_key::Model {
    entity::ApiKey::find()
        .filter(entity::api_key::Column::Name.eq(name))
        .order_by_desc(entity::api_key::Column::Id)
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

async fn refusal(env: &TestEnv, key: &Secret) -> Option<KeyRefusal> {
    check(&env.keys, &env.ctx, key.expose(), HOME).await.err()
}

async fn set(env: &TestEnv, id: ApiKeyId, column: entity::api_key::Column, at: Timestamp) {
    let tx = env.ctx.db().begin().await.unwrap();
    entity::ApiKey::update_many()
        .col_expr(column, Expr::value(at))
        .filter(entity::api_key::Column::Id.eq(id))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    env.ctx.key_changes().send(KeyChange::Key(id));
}

/// The newest event of a type.
async fn event(env: &TestEnv, event_type: EventType) -> entity::event::Model {
    entity::Event::find()
        .filter(entity::event::Column::EventType.eq(event_type))
        .order_by_desc(entity::event::Column::Id)
        .one(env.ctx.db().read())
        .await
        .unwrap()
        .unwrap()
}

async fn view(env: &TestEnv, actor: &Actor, id: ApiKeyId) -> domain::api_keys::KeyView {
    views::find(&env.ctx, actor, id, None).await.unwrap()
}

both! {
    async fn a_key_works_as_soon_as_it_is_made_and_only_its_hash_is_kept(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let holder = check(&env.keys, &env.ctx, key.expose(), HOME).await.unwrap();
        let facts = holder.facts();
        assert_eq!((facts.id, facts.mode, facts.workspace), (id, Mode::Live, adam.workspace()));
        assert_eq!(facts.name, "Importer");
        assert_eq!(facts.workspace_slug.as_str(), "acme");
        assert!(holder.has(Scope::ContactsWrite) && !holder.has(Scope::CreditsWrite));

        let row = newest(env, "Importer").await;
        assert_eq!(row.token_hash, KeyToken::parse(key.expose()).unwrap().hash());
        assert!(key.expose().starts_with(&row.token_start) && key.expose().ends_with(&row.token_end));
        let event = event(env, EventType::ApiKeyCreated).await;
        let middle = &key.expose()[12..38];
        let written = format!("{row:?} {event:?}");
        assert!(!written.contains(middle), "neither the row nor the event holds the key");
        assert_eq!(event.actor_name, "Adam Archer");
        assert_eq!(event.data["address"], "192.0.2.7");
        assert_eq!(event.data["name"], "Importer");
        let shown = serde_json::to_string(&view(env, &adam, id).await).unwrap();
        assert!(!shown.contains(middle), "no page gets it again");
    }

    async fn only_owners_and_admins_come_near_keys(env) {
        let created = env.events(EventType::ApiKeyCreated).await;
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        for who in [MIA, CLEO] {
            let actor = env.actor(who, "acme").await;
            let ctx = &env.ctx;
            let none = Secret::default();
            let results = [
                make(ctx, &actor, wish("Mine")).await.err(),
                views::list(ctx, &actor, &views::KeyListQuery::default()).await.err(),
                views::find(ctx, &actor, id, None).await.err(),
                api_keys::rotate(ctx, &info(), &actor, id, Grace::Day, &none).await.err(),
                api_keys::finish_rotation(ctx, &info(), &actor, id).await.err(),
                api_keys::revoke(ctx, &info(), &actor, id, "Importer").await.err(),
                api_keys::rename(ctx, &info(), &actor, id, Name::parse("X").unwrap()).await.err(),
                api_keys::narrow(ctx, &info(), &actor, id, vec![Scope::ContactsRead]).await.err(),
            ];
            for result in results {
                assert!(matches!(result, Some(AppError::Forbidden { .. })), "{who}: {result:?}");
            }
        }
        let greta = env.actor(GRETA, "globex").await;
        assert_eq!(views::find(&env.ctx, &greta, id, None).await.err(), Some(AppError::NotFound));
        let revoked = api_keys::revoke(&env.ctx, &info(), &greta, id, "Importer").await;
        assert_eq!(revoked.err(), Some(AppError::NotFound));
        assert_eq!(refusal(env, &key).await, None);
        assert_eq!(env.events(EventType::ApiKeyCreated).await, created + 1, "nothing else was made");
        assert!(views::list(&env.ctx, &greta, &views::KeyListQuery::default()).await.unwrap().keys.is_empty());
    }

    async fn an_old_sign_in_wants_the_password(env) {
        let cookie = env.cookie(ADAM).await;
        let tx = env.ctx.db().begin().await.unwrap();
        entity::Session::update_many()
            .col_expr(entity::session::Column::AuthenticatedAt, Expr::value(Timestamp::now().before(days(1))))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let adam = env.caller(Some(&cookie)).actor("acme").await.unwrap();
        let refused = make(&env.ctx, &adam, wish("Importer")).await;
        assert!(matches!(refused, Err(AppError::Invalid(errors)) if errors.get("current_password").is_some()));
        let id = newest(env, "Website form").await.id;
        let refused = api_keys::rotate(&env.ctx, &info(), &adam, id, Grace::Day, &Secret::from("wrong")).await;
        assert!(matches!(refused, Err(AppError::Invalid(errors)) if errors.get("current_password").is_some()));
        let password = Secret::from(store::demo::PASSWORD);
        let made = api_keys::create(&env.ctx, &info(), &adam, wish("Importer"), Vec::new(), &password).await;
        assert!(made.unwrap().secret.is_some());
    }

    async fn what_nobody_made_is_unknown_and_what_is_mistyped_is_not_looked_for(env) {
        let stranger = KeyToken::generate(Mode::Live);
        assert_eq!(refusal(env, stranger.secret()).await, Some(KeyRefusal::Unknown));
        let text = stranger.secret().expose();
        assert_eq!(refusal(env, &text[..41].into()).await, Some(KeyRefusal::Malformed));
        assert_eq!(refusal(env, &Secret::default()).await, Some(KeyRefusal::Malformed));
    }

    async fn a_key_may_be_fenced_in_and_may_expire(env) {
        let adam = env.actor(ADAM, "acme").await;
        let networks = api_keys::read_networks("198.51.100.0/24").unwrap();
        let done = api_keys::create(&env.ctx, &info(), &adam, wish("Fenced"), networks, &Secret::default()).await.unwrap();
        let key = done.secret.unwrap();
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::AddressNotAllowed));
        assert!(check(&env.keys, &env.ctx, key.expose(), "::ffff:198.51.100.8".parse().unwrap()).await.is_ok());

        let (id, key) = made(env, &adam, "Short").await;
        set(env, id, entity::api_key::Column::ExpiresAt, Timestamp::now()).await;
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::Expired));
        let rotated = api_keys::rotate(&env.ctx, &info(), &adam, id, Grace::Day, &Secret::default()).await;
        assert!(matches!(rotated, Err(AppError::Conflict(_))), "what is over is not rotated");
    }

    async fn both_keys_work_while_one_is_rotated(env) {
        let adam = env.actor(ADAM, "acme").await;
        let olivia = env.actor(OLIVIA, "acme").await;
        let (old_id, old) = made(env, &adam, "Importer").await;
        let done = api_keys::rotate(&env.ctx, &info(), &olivia, old_id, Grace::Day, &Secret::default()).await.unwrap();
        let new = done.secret.unwrap();
        assert_eq!((refusal(env, &old).await, refusal(env, &new).await), (None, None));
        let successor = check(&env.keys, &env.ctx, new.expose(), HOME).await.unwrap();
        assert_eq!(successor.facts().scopes, [Scope::ContactsRead, Scope::ContactsWrite], "the same settings");
        assert_eq!(successor.facts().name, "Importer");
        assert_eq!(view(env, &adam, old_id).await.key.status, Status::Rotating);
        assert_eq!(view(env, &adam, successor.facts().id).await.predecessor, Some(old_id));
        assert_eq!(event(env, EventType::ApiKeyRotated).await.actor_name, "Olivia Owens");

        let again = api_keys::rotate(&env.ctx, &info(), &adam, old_id, Grace::Day, &Secret::default()).await;
        assert!(matches!(again, Err(AppError::Conflict(_))), "it has a successor");
        api_keys::finish_rotation(&env.ctx, &info(), &adam, old_id).await.unwrap();
        assert_eq!(refusal(env, &old).await, Some(KeyRefusal::Expired), "at the next request");
        assert_eq!(refusal(env, &new).await, None);
        assert_eq!(view(env, &adam, old_id).await.key.status, Status::Retired);
        assert!(api_keys::finish_rotation(&env.ctx, &info(), &adam, old_id).await.is_err());
    }

    async fn a_rotation_without_grace_stops_the_old_key_at_once(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, old) = made(env, &adam, "Leaked").await;
        assert_eq!(refusal(env, &old).await, None);
        let new = api_keys::rotate(&env.ctx, &info(), &adam, id, Grace::Now, &Secret::default()).await.unwrap().secret.unwrap();
        assert_eq!((refusal(env, &old).await, refusal(env, &new).await), (Some(KeyRefusal::Expired), None));
    }

    async fn two_who_rotate_at_once_make_one_successor(env) {
        let (adam, olivia) = (env.actor(ADAM, "acme").await, env.actor(OLIVIA, "acme").await);
        let (id, _) = made(env, &adam, "Importer").await;
        let (none, info) = (Secret::default(), info());
        let (a, b) = tokio::join!(
            api_keys::rotate(&env.ctx, &info, &adam, id, Grace::Hour, &none),
            api_keys::rotate(&env.ctx, &info, &olivia, id, Grace::Hour, &none),
        );
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        let named = entity::ApiKey::find().filter(entity::api_key::Column::Name.eq("Importer"));
        assert_eq!(named.count(env.ctx.db().read()).await.unwrap(), 2);
    }

    async fn revoking_wants_the_name_and_stays_in_the_list(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let before = env.events(EventType::ApiKeyRevoked).await;
        let refused = api_keys::revoke(&env.ctx, &info(), &adam, id, "importer").await;
        assert!(matches!(refused, Err(AppError::Invalid(errors)) if errors.get("name").is_some()));
        assert_eq!(env.events(EventType::ApiKeyRevoked).await, before);
        api_keys::revoke(&env.ctx, &info(), &adam, id, " Importer ").await.unwrap();
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::Revoked));
        assert_eq!(env.events(EventType::ApiKeyRevoked).await, before + 1);
        let asked = views::KeyListQuery { filter: Some(Filter::Revoked), ..views::KeyListQuery::default() };
        let list = views::list(&env.ctx, &adam, &asked).await.unwrap();
        assert!(list.keys.iter().any(|row| row.id == id && row.status == Status::Revoked));
        assert_eq!(view(env, &adam, id).await.revoked.unwrap().1, "Adam Archer");
        assert!(api_keys::revoke(&env.ctx, &info(), &adam, id, "Importer").await.is_err());
        assert!(api_keys::rename(&env.ctx, &info(), &adam, id, Name::parse("X").unwrap()).await.is_err());
    }

    async fn a_revoked_key_is_refused_at_the_next_request_though_checks_race(env) {
        let adam = env.actor(ADAM, "acme").await;
        for round in 0..5 {
            let (id, key) = made(env, &adam, &format!("Racer {round}")).await;
            let (stop, stopped) = tokio::sync::watch::channel(false);
            let racers: Vec<_> = (0..8).map(|_| {
                let (keys, ctx, key, stopped) = (env.keys.clone(), env.ctx.clone(), key.clone(), stopped.clone());
                tokio::spawn(async move {
                    while !*stopped.borrow() {
                        let _ = check(&keys, &ctx, key.expose(), HOME).await;
                        tokio::task::yield_now().await;
                    }
                })
            }).collect();
            tokio::time::sleep(Duration::from_millis(20)).await;
            api_keys::revoke(&env.ctx, &info(), &adam, id, &format!("Racer {round}")).await.unwrap();
            for _ in 0..200 {
                assert_eq!(refusal(env, &key).await, Some(KeyRefusal::Revoked));
            }
            stop.send(true).unwrap();
            for racer in racers {
                racer.await.unwrap();
            }
        }
    }

    async fn a_revocation_made_by_another_process_counts_within_two_seconds(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Elsewhere").await;
        assert_eq!(refusal(env, &key).await, None);
        // Straight to the table, as another process would.
        let tx = env.ctx.db().begin().await.unwrap();
        entity::ApiKey::update_many()
            .col_expr(entity::api_key::Column::RevokedAt, Expr::value(Timestamp::now()))
            .filter(entity::api_key::Column::Id.eq(id))
            .exec(&tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(refusal(env, &key).await, None, "remembered for a moment");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::Revoked));
    }

    async fn scopes_are_narrowed_and_never_widened(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let before = env.events(EventType::ApiKeyUpdated).await;
        let wide = vec![Scope::ContactsRead, Scope::CreditsWrite];
        let refused = api_keys::narrow(&env.ctx, &info(), &adam, id, wide).await;
        assert!(matches!(refused, Err(AppError::Invalid(errors)) if errors.get("scopes").is_some()));
        assert_eq!(env.events(EventType::ApiKeyUpdated).await, before);
        api_keys::narrow(&env.ctx, &info(), &adam, id, vec![Scope::ContactsRead]).await.unwrap();
        let holder = check(&env.keys, &env.ctx, key.expose(), HOME).await.unwrap();
        assert_eq!(holder.facts().scopes, [Scope::ContactsRead]);
        assert_eq!(event(env, EventType::ApiKeyUpdated).await.data["removed_scopes"][0], "contacts:write");
        let back = api_keys::narrow(&env.ctx, &info(), &adam, id, vec![Scope::ContactsWrite]).await;
        assert!(back.is_err(), "what was taken is not given back");
    }

    async fn a_new_name_shows_at_once(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let before = env.events(EventType::ApiKeyUpdated).await;
        api_keys::rename(&env.ctx, &info(), &adam, id, Name::parse("Importer").unwrap()).await.unwrap();
        assert_eq!(env.events(EventType::ApiKeyUpdated).await, before, "nothing changed, nothing recorded");
        api_keys::rename(&env.ctx, &info(), &adam, id, Name::parse("Nightly import").unwrap()).await.unwrap();
        assert_eq!(env.events(EventType::ApiKeyUpdated).await, before + 1);
        assert_eq!(check(&env.keys, &env.ctx, key.expose(), HOME).await.unwrap().facts().name, "Nightly import");
    }

    async fn a_workspace_has_a_hundred_keys_and_not_one_more(env) {
        let greta = env.actor(GRETA, "globex").await;
        for n in 0..MAX_KEYS {
            make(&env.ctx, &greta, wish(&format!("Key {n}"))).await.unwrap();
        }
        let refused = make(&env.ctx, &greta, wish("One more")).await;
        assert!(matches!(refused, Err(AppError::LimitReached(_))), "{refused:?}");
        let id = newest(env, "Key 0").await.id;
        // At the limit a key can still be rotated, and revoking one makes room.
        api_keys::rotate(&env.ctx, &info(), &greta, id, Grace::Now, &Secret::default()).await.unwrap();
        assert!(make(&env.ctx, &greta, wish("One more")).await.is_err());
        let id = newest(env, "Key 1").await.id;
        api_keys::revoke(&env.ctx, &info(), &greta, id, "Key 1").await.unwrap();
        make(&env.ctx, &greta, wish("One more")).await.unwrap();

        let mut seen = Vec::new();
        let mut asked = views::KeyListQuery::default();
        loop {
            let page = views::list(&env.ctx, &greta, &asked).await.unwrap();
            seen.extend(page.keys.iter().map(|row| row.id));
            let Some(next) = page.next else { break };
            asked.before = Some(next);
        }
        assert_eq!(seen.len(), 102, "each on one page");
        seen.dedup();
        assert_eq!(seen.len(), 102);
    }

    async fn the_list_is_filtered_by_status_type_and_name(env) {
        let adam = env.actor(ADAM, "acme").await;
        let names = async |asked: views::KeyListQuery| {
            let list = views::list(&env.ctx, &adam, &asked).await.unwrap();
            let mut names: Vec<_> = list.keys.into_iter().map(|row| (row.name, row.status)).collect();
            names.sort();
            (names, list.counts)
        };
        let (all, counts) = names(views::KeyListQuery::default()).await;
        assert_eq!(all.len(), 5);
        assert_eq!(counts, [5, 4, 0, 1]);
        let (test, counts) = names(views::KeyListQuery { mode: Some(Mode::Test), ..Default::default() }).await;
        assert_eq!(test, [("Local development".to_owned(), Status::Active)]);
        assert_eq!(counts, [1, 1, 0, 0]);
        let (found, _) = names(views::KeyListQuery { search: "crm S".into(), ..Default::default() }).await;
        assert_eq!(found, [("CRM sync".to_owned(), Status::Active), ("CRM sync".to_owned(), Status::Rotating)]);
        assert!(names(views::KeyListQuery { search: "%".into(), ..Default::default() }).await.0.is_empty());
    }

    async fn what_a_key_was_used_for_is_written_down_later(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let holder = check(&env.keys, &env.ctx, key.expose(), HOME).await.unwrap();
        env.usage.note_use(&holder, Some(Scope::ContactsRead), "::ffff:192.0.2.7".parse().unwrap());
        env.usage.note_request(RequestLine {
            key: id,
            at: Timestamp::now(),
            method: "GET".into(),
            path: "/api/v1/contacts".into(),
            status: 200,
            duration: Duration::from_micros(1_234),
            address: HOME,
        });
        // Of a key that is gone meanwhile.
        env.usage.note_request(RequestLine {
            key: ApiKeyId::new(),
            at: Timestamp::now(),
            method: "GET".into(),
            path: "/api/v1/me".into(),
            status: 200,
            duration: Duration::ZERO,
            address: HOME,
        });
        assert_eq!(view(env, &adam, id).await.key.last_used, None, "no write in the request");
        assert_eq!(usage::flush_uses(&env.ctx, &env.usage).await, Ok(1));
        assert_eq!(usage::flush_requests(&env.ctx, &env.usage).await, Ok(2));
        let seen = view(env, &adam, id).await;
        assert_eq!(seen.key.last_used.as_ref().unwrap().1, "192.0.2.7");
        assert!(seen.scopes[0].1.is_some() && seen.scopes[1].1.is_none());
        assert_eq!((seen.requests.len(), seen.request_count), (1, 1));
        assert_eq!(seen.requests[0].duration_us, 1_234);

        env.usage.note_use(&holder, Some(Scope::ContactsWrite), HOME);
        assert_eq!(usage::flush_uses(&env.ctx, &env.usage).await, Ok(0), "once a minute");
        usage::flush_all(&env.ctx, &env.usage).await.unwrap();
        assert!(view(env, &adam, id).await.scopes[1].1.is_some(), "at the end all of it");
    }

    async fn the_log_and_old_answers_are_swept(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, _) = made(env, &adam, "Importer").await;
        let now = Timestamp::now();
        for age in [days(8), days(6)] {
            env.usage.note_request(RequestLine {
                key: id,
                at: now.before(age),
                method: "GET".into(),
                path: "/api/v1/me".into(),
                status: 200,
                duration: Duration::ZERO,
                address: HOME,
            });
        }
        usage::flush_requests(&env.ctx, &env.usage).await.unwrap();
        let tx = env.ctx.db().begin().await.unwrap();
        for (key, age) in [("old", days(2)), ("new", Duration::ZERO)] {
            let row = entity::idempotency_key::ActiveModel {
                key_id: sea_orm::Set(id),
                idempotency_key: sea_orm::Set(key.to_owned()),
                fingerprint: sea_orm::Set(vec![1; 32]),
                status: sea_orm::Set(Some(201)),
                body: sea_orm::Set(Some(b"{}".to_vec())),
                created_at: sea_orm::Set(now.before(age)),
            };
            entity::IdempotencyKey::insert(row).exec_without_returning(&tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(usage::sweep(&env.ctx).await, Ok(2));
        assert_eq!(usage::sweep(&env.ctx).await, Ok(0));
        assert_eq!(view(env, &adam, id).await.request_count, 1);
    }

    async fn keys_outlive_their_maker_and_go_with_their_workspace(env) {
        let (adam, olivia) = (env.actor(ADAM, "acme").await, env.actor(OLIVIA, "acme").await);
        let (_, key) = made(env, &adam, "Importer").await;
        let status = domain::members::Status::Pending;
        let list = members::view(&env.ctx, &olivia, status, "", None, None).await.unwrap();
        let row = list.members.into_iter().find(|row| row.id == adam.membership()).unwrap();
        assert_eq!(row.keys_made, ["CRM sync", "CRM sync", "Importer", "Website form"]);
        let mia = env.actor(MIA, "acme").await;
        let list = members::view(&env.ctx, &mia, status, "", None, None).await.unwrap();
        assert!(list.members.iter().all(|row| row.keys_made.is_empty()), "members see no keys");

        members::remove(&env.ctx, &olivia, adam.membership()).await.unwrap();
        assert_eq!(refusal(env, &key).await, None);
        store::workspace::delete(&env.ctx, &info(), &olivia, "acme", &Secret::default()).await.unwrap();
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::Unknown));
    }

    async fn what_nobody_uses_is_pointed_out(env) {
        use entity::api_key::Column;
        let adam = env.actor(ADAM, "acme").await;
        let (id, _) = made(env, &adam, "Forgotten").await;
        assert!(!view(env, &adam, id).await.key.unused, "it is new");
        set(env, id, Column::CreatedAt, Timestamp::now().before(days(91))).await;
        assert!(view(env, &adam, id).await.key.unused);
        set(env, id, Column::LastUsedAt, Timestamp::now().before(days(2))).await;
        assert!(!view(env, &adam, id).await.key.unused);
        let form = newest(env, "Website form").await.id;
        assert_eq!(view(env, &adam, form).await.key.idle_scopes, 3);
    }
}
