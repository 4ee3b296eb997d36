//! Rotated and revoked API keys: how long the old one works, and that a revoked one is refused at once.

use std::time::Duration;

use domain::api_keys::{Filter, Grace, Status};
use domain::catalog::{EventType, Scope};
use domain::{AppError, Name, Secret, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use store::api_keys::{self, views};
use store::auth::api_keys::KeyRefusal;
use store::db::entity;

use super::{HOME, event, made, refusal, view};
use crate::support::{ADAM, OLIVIA, both, check_key as check, info};

both! {
    async fn both_keys_work_while_one_is_rotated(env) {
        let adam = env.actor(ADAM, "acme").await;
        let olivia = env.actor(OLIVIA, "acme").await;
        let (old_id, old) = made(env, &adam, "Importer").await;
        let done = api_keys::rotate(&env.ctx, &info(), &olivia.permit().unwrap(), old_id, Grace::Day, &Secret::default()).await.unwrap();
        let new = done.secret.unwrap();
        assert_eq!((refusal(env, &old).await, refusal(env, &new).await), (None, None));
        let successor = check(&env.keys, &env.ctx, new.expose(), HOME).await.unwrap();
        assert_eq!(successor.facts().scopes, [Scope::ContactsRead, Scope::ContactsWrite], "the same settings");
        assert_eq!(successor.facts().name, "Importer");
        assert_eq!(view(env, &adam, old_id).await.key.status, Status::Rotating);
        assert_eq!(view(env, &adam, successor.facts().id).await.predecessor, Some(old_id));
        assert_eq!(event(env, EventType::ApiKeyRotated).await.actor_name, "Olivia Owens");

        let again = api_keys::rotate(&env.ctx, &info(), &adam.permit().unwrap(), old_id, Grace::Day, &Secret::default()).await;
        assert!(matches!(again, Err(AppError::Conflict(_))), "it has a successor");
        api_keys::finish_rotation(&env.ctx, &info(), &adam.permit().unwrap(), old_id).await.unwrap();
        assert_eq!(refusal(env, &old).await, Some(KeyRefusal::Expired), "at the next request");
        assert_eq!(refusal(env, &new).await, None);
        assert_eq!(view(env, &adam, old_id).await.key.status, Status::Retired);
        assert!(async { api_keys::finish_rotation(&env.ctx, &info(), &adam.permit()?, old_id).await }.await.is_err());
    }

    async fn a_rotation_without_grace_stops_the_old_key_at_once(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, old) = made(env, &adam, "Leaked").await;
        assert_eq!(refusal(env, &old).await, None);
        let new = api_keys::rotate(&env.ctx, &info(), &adam.permit().unwrap(), id, Grace::Now, &Secret::default()).await.unwrap().secret.unwrap();
        assert_eq!((refusal(env, &old).await, refusal(env, &new).await), (Some(KeyRefusal::Expired), None));
    }

    async fn two_who_rotate_at_once_make_one_successor(env) {
        let (adam, olivia) = (env.actor(ADAM, "acme").await, env.actor(OLIVIA, "acme").await);
        let (id, _) = made(env, &adam, "Importer").await;
        let (none, info) = (Secret::default(), info());
        let (a, b) = tokio::join!(
            async { api_keys::rotate(&env.ctx, &info, &adam.permit().unwrap(), id, Grace::Hour, &none).await },
            async { api_keys::rotate(&env.ctx, &info, &olivia.permit().unwrap(), id, Grace::Hour, &none).await },
        );
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        let named = entity::ApiKey::find().filter(entity::api_key::Column::Name.eq("Importer"));
        assert_eq!(named.count(env.ctx.db().read()).await.unwrap(), 2);
    }

    async fn revoking_wants_the_name_and_stays_in_the_list(env) {
        let adam = env.actor(ADAM, "acme").await;
        let (id, key) = made(env, &adam, "Importer").await;
        let before = env.events(EventType::ApiKeyRevoked).await;
        let refused = api_keys::revoke(&env.ctx, &info(), &adam.permit().unwrap(), id, "importer").await;
        assert!(matches!(refused, Err(AppError::Invalid(errors)) if errors.get("name").is_some()));
        assert_eq!(env.events(EventType::ApiKeyRevoked).await, before);
        api_keys::revoke(&env.ctx, &info(), &adam.permit().unwrap(), id, " Importer ").await.unwrap();
        assert_eq!(refusal(env, &key).await, Some(KeyRefusal::Revoked));
        assert_eq!(env.events(EventType::ApiKeyRevoked).await, before + 1);
        let asked = views::KeyListQuery { filter: Some(Filter::Revoked), ..views::KeyListQuery::default() };
        let list = views::list(&env.ctx, &adam.permit_read().unwrap(), &asked).await.unwrap();
        assert!(list.keys.iter().any(|row| row.id == id && row.status == Status::Revoked));
        assert_eq!(view(env, &adam, id).await.revoked.unwrap().1, "Adam Archer");
        assert!(async { api_keys::revoke(&env.ctx, &info(), &adam.permit()?, id, "Importer").await }.await.is_err());
        assert!(async { api_keys::rename(&env.ctx, &info(), &adam.permit()?, id, Name::parse("X").unwrap()).await }.await.is_err());
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
            api_keys::revoke(&env.ctx, &info(), &adam.permit().unwrap(), id, &format!("Racer {round}")).await.unwrap();
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
}
