//! API keys: who makes them, what each of them may do, and how they are listed.

mod records;
mod rotation;

use std::net::IpAddr;

use domain::api_keys::{Grace, MAX_KEYS, NewKey, Status};
use domain::catalog::{EventType, Mode, Scope};
use domain::form::FormSuccess;
use domain::{ApiKeyId, AppError, Name, Secret, Timestamp, days};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use store::api_keys::{self, views};
use store::auth::Actor;
use store::auth::api_keys::KeyRefusal;
use store::auth::key_changes::KeyChange;
use store::auth::key_token::KeyToken;
use store::context::AppContext;
use store::db::entity;

use crate::support::{ADAM, CLEO, GRETA, MIA, TestEnv, both, check_key as check, info};

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
    api_keys::create(
        ctx,
        &info(),
        &actor.permit()?,
        wish,
        Vec::new(),
        &Secret::default(),
    )
    .await
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
    views::find(&env.ctx, &actor.permit_read().unwrap(), id, None)
        .await
        .unwrap()
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
                async { views::list(ctx, &actor.permit_read()?, &views::KeyListQuery::default()).await }.await.err(),
                async { views::find(ctx, &actor.permit_read()?, id, None).await }.await.err(),
                async { api_keys::rotate(ctx, &info(), &actor.permit()?, id, Grace::Day, &none).await }.await.err(),
                async { api_keys::finish_rotation(ctx, &info(), &actor.permit()?, id).await }.await.err(),
                async { api_keys::revoke(ctx, &info(), &actor.permit()?, id, "Importer").await }.await.err(),
                async { api_keys::rename(ctx, &info(), &actor.permit()?, id, Name::parse("X").unwrap()).await }.await.err(),
                async { api_keys::narrow(ctx, &info(), &actor.permit()?, id, vec![Scope::ContactsRead]).await }.await.err(),
            ];
            for result in results {
                assert!(matches!(result, Some(AppError::Forbidden { .. })), "{who}: {result:?}");
            }
        }
        let greta = env.actor(GRETA, "globex").await;
        assert_eq!(async { views::find(&env.ctx, &greta.permit_read()?, id, None).await }.await.err(), Some(AppError::NotFound));
        let revoked = api_keys::revoke(&env.ctx, &info(), &greta.permit().unwrap(), id, "Importer").await;
        assert_eq!(revoked.err(), Some(AppError::NotFound));
        assert_eq!(refusal(env, &key).await, None);
        assert_eq!(env.events(EventType::ApiKeyCreated).await, created + 1, "nothing else was made");
        assert!(views::list(&env.ctx, &greta.permit_read().unwrap(), &views::KeyListQuery::default()).await.unwrap().keys.is_empty());
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
        let refused = api_keys::rotate(&env.ctx, &info(), &adam.permit().unwrap(), id, Grace::Day, &Secret::from("wrong")).await;
        assert!(matches!(refused, Err(AppError::Invalid(errors)) if errors.get("current_password").is_some()));
        let password = Secret::from(store::demo::PASSWORD);
        let made = api_keys::create(&env.ctx, &info(), &adam.permit().unwrap(), wish("Importer"), Vec::new(), &password).await;
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
        let done = api_keys::create(&env.ctx, &info(), &adam.permit().unwrap(), wish("Fenced"), networks, &Secret::default()).await.unwrap();
        let key = done.secret.unwrap();
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::AddressNotAllowed));
        assert!(check(&env.keys, &env.ctx, key.expose(), "::ffff:198.51.100.8".parse().unwrap()).await.is_ok());

        let (id, key) = made(env, &adam, "Short").await;
        set(env, id, entity::api_key::Column::ExpiresAt, Timestamp::now()).await;
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::Expired));
        let rotated = api_keys::rotate(&env.ctx, &info(), &adam.permit().unwrap(), id, Grace::Day, &Secret::default()).await;
        assert!(matches!(rotated, Err(AppError::Conflict(_))), "what is over is not rotated");
    }

    async fn scopes_are_narrowed_and_never_widened(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let before = env.events(EventType::ApiKeyUpdated).await;
        let wide = vec![Scope::ContactsRead, Scope::CreditsWrite];
        let refused = api_keys::narrow(&env.ctx, &info(), &adam.permit().unwrap(), id, wide).await;
        assert!(matches!(refused, Err(AppError::Invalid(errors)) if errors.get("scopes").is_some()));
        assert_eq!(env.events(EventType::ApiKeyUpdated).await, before);
        api_keys::narrow(&env.ctx, &info(), &adam.permit().unwrap(), id, vec![Scope::ContactsRead]).await.unwrap();
        let holder = check(&env.keys, &env.ctx, key.expose(), HOME).await.unwrap();
        assert_eq!(holder.facts().scopes, [Scope::ContactsRead]);
        assert_eq!(event(env, EventType::ApiKeyUpdated).await.data["removed_scopes"][0], "contacts:write");
        let back = api_keys::narrow(&env.ctx, &info(), &adam.permit().unwrap(), id, vec![Scope::ContactsWrite]).await;
        assert!(back.is_err(), "what was taken is not given back");
    }

    async fn a_new_name_shows_at_once(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let before = env.events(EventType::ApiKeyUpdated).await;
        api_keys::rename(&env.ctx, &info(), &adam.permit().unwrap(), id, Name::parse("Importer").unwrap()).await.unwrap();
        assert_eq!(env.events(EventType::ApiKeyUpdated).await, before, "nothing changed, nothing recorded");
        api_keys::rename(&env.ctx, &info(), &adam.permit().unwrap(), id, Name::parse("Nightly import").unwrap()).await.unwrap();
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
        api_keys::rotate(&env.ctx, &info(), &greta.permit().unwrap(), id, Grace::Now, &Secret::default()).await.unwrap();
        assert!(make(&env.ctx, &greta, wish("One more")).await.is_err());
        let id = newest(env, "Key 1").await.id;
        api_keys::revoke(&env.ctx, &info(), &greta.permit().unwrap(), id, "Key 1").await.unwrap();
        make(&env.ctx, &greta, wish("One more")).await.unwrap();

        let mut seen = Vec::new();
        let mut asked = views::KeyListQuery::default();
        loop {
            let page = views::list(&env.ctx, &greta.permit_read().unwrap(), &asked).await.unwrap();
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
            let list = views::list(&env.ctx, &adam.permit_read().unwrap(), &asked).await.unwrap();
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
}
