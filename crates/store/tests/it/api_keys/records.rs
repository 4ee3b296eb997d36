//! What is recorded of an API key's use, how long it is kept, and what becomes of unused keys and of keys whose maker
//! leaves.

use std::time::Duration;

use domain::catalog::Scope;
use domain::{ApiKeyId, Secret, Timestamp, days};
use sea_orm::EntityTrait;
use store::api_keys::usage::{self, RequestLine};
use store::auth::api_keys::KeyRefusal;
use store::db::entity;
use store::members;

use super::{HOME, made, newest, refusal, set, view};
use crate::support::{ADAM, MIA, OLIVIA, both, check_key as check, info};

both! {
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
        let list = members::view(&env.ctx, &olivia.permit().unwrap(), status, "", None, None).await.unwrap();
        let row = list.members.into_iter().find(|row| row.id == adam.membership()).unwrap();
        assert_eq!(row.keys_made, ["CRM sync", "CRM sync", "Importer", "Website form"]);
        let mia = env.actor(MIA, "acme").await;
        let list = members::view(&env.ctx, &mia.permit().unwrap(), status, "", None, None).await.unwrap();
        assert!(list.members.iter().all(|row| row.keys_made.is_empty()), "members see no keys");

        members::remove(&env.ctx, &olivia.permit().unwrap(), adam.membership()).await.unwrap();
        assert_eq!(refusal(env, &key).await, None);
        store::workspace::delete(&env.ctx, &info(), &olivia.permit().unwrap(), "acme", &Secret::default()).await.unwrap();
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
