//! Holds and refunds of credits: what is not used comes back.

use domain::credits::{EntryKind, HoldStatus};
use domain::{AppError, minutes};
use sea_orm::EntityTrait;
use store::auth::Unattended;
use store::credits::{self, holds};
use store::db::entity;

use super::{adds_up, balance, let_time_pass, principal, spend, uses};
use crate::support::{GRETA, MIA, both};

both! {
    async fn a_hold_keeps_what_it_may_cost_and_gives_the_rest_back(env) {
        let mia = principal(env, MIA, "acme").await;
        let db = env.ctx.db();
        let before = balance(env, &mia).await.total();
        let mut tx = db.begin().await.unwrap();
        let hold = holds::reserve(&mut tx, &mia.permit().unwrap(), &uses("smart_automation", 8), minutes(5)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((hold.reserved, hold.balance), (80, before - 80));
        assert_eq!(balance(env, &mia).await.total(), before - 80);
        adds_up(env).await;

        let mut tx = db.begin().await.unwrap();
        let more = holds::capture(&mut tx, &mia.permit().unwrap(), hold.id, Some(9)).await;
        assert!(matches!(more, Err(AppError::Invalid(_))), "no more than was reserved");
        tx.rollback().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let done = holds::capture(&mut tx, &mia.permit().unwrap(), hold.id, Some(3)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((done.status, done.captured, done.balance), (HoldStatus::Captured, 30, before - 30));
        let mut tx = db.begin().await.unwrap();
        assert!(matches!(async { holds::release(&mut tx, &mia.permit()?, hold.id).await }.await, Err(AppError::Conflict(_))));
        tx.rollback().await.unwrap();
        assert_eq!(balance(env, &mia).await.total(), before - 30);

        let mut tx = db.begin().await.unwrap();
        let hold = holds::reserve(&mut tx, &mia.permit().unwrap(), &uses("smart_automation", 8), minutes(5)).await.unwrap();
        tx.commit().await.unwrap();
        let greta = principal(env, GRETA, "globex").await;
        let mut tx = db.begin().await.unwrap();
        assert_eq!(async { holds::capture(&mut tx, &greta.permit()?, hold.id, None).await }.await, Err(AppError::NotFound));
        tx.rollback().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        holds::release(&mut tx, &mia.permit().unwrap(), hold.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(balance(env, &mia).await.total(), before - 30);
        adds_up(env).await;
    }

    async fn a_hold_that_is_forgotten_comes_back(env) {
        let mia = principal(env, MIA, "acme").await;
        let before = balance(env, &mia).await;
        let mut tx = env.ctx.db().begin().await.unwrap();
        let hold = holds::reserve(&mut tx, &mia.permit().unwrap(), &uses("general_ai", 50), minutes(5)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(balance(env, &mia).await.total(), before.total() - 100);
        let_time_pass(env, mia.workspace(), minutes(5)).await;
        assert_eq!(balance(env, &mia).await.total(), before.total(), "whoever looks finds it in order");
        let mut tx = env.ctx.db().begin().await.unwrap();
        assert!(matches!(async { holds::capture(&mut tx, &mia.permit()?, hold.id, None).await }.await, Err(AppError::Conflict(_))));
        drop(tx);
        adds_up(env).await;
    }

    async fn a_refund_is_a_line_of_its_own_and_never_more_than_was_spent(env) {
        let mia = principal(env, MIA, "acme").await;
        let before = balance(env, &mia).await;
        let spent = spend(env, &mia, &uses("analyze_and_suggest", 20), None).await.unwrap();
        let refund = async |credits| {
            let mut tx = env.ctx.db().begin().await.unwrap();
            let entry = credits::refund(Unattended::Operator, &mut tx, spent.id, credits).await?;
            tx.commit().await.unwrap();
            Ok::<_, AppError>(entry)
        };
        let part = refund(Some(30)).await.unwrap();
        assert_eq!((part.kind, part.amount), (EntryKind::Refund, 30));
        assert!(matches!(refund(Some(71)).await, Err(AppError::Conflict(_))));
        assert_eq!(refund(None).await.unwrap().amount, 70);
        assert!(matches!(refund(None).await, Err(AppError::Conflict(_))));
        assert_eq!(balance(env, &mia).await, before);
        let row = entity::CreditEntry::find_by_id(spent.id).one(env.ctx.db().read()).await.unwrap().unwrap();
        assert_eq!((row.kind, row.amount), (EntryKind::Spend, -100), "the line itself stays");
        let mut tx = env.ctx.db().begin().await.unwrap();
        assert_eq!(credits::refund(Unattended::Operator, &mut tx, part.id, None).await, Err(AppError::NotFound), "only what was spent");
        drop(tx);
        adds_up(env).await;
    }
}
