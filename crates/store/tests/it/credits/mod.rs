//! Credits: who may spend them, what is taken first, that nothing is spent twice or out of nothing.

mod holds;

use std::time::Duration;

use domain::catalog::{Catalog, EventType, Mode};
use domain::credits::EntryKind;
use domain::{AppError, Permission, Timestamp, WorkspaceId, days, hours};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder};
use store::auth::{Principal, Unattended};
use store::credits;
use store::credits::dto::{CreditEntry, Use};
use store::credits::verify::verify;
use store::credits::view::{self, Balance};
use store::db::Tx;
use store::db::entity::{self, credit_account, credit_entry, credit_grant, credit_hold, event};
use store::events::Origin;

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, TestEnv, both};

fn uses(feature: &str, quantity: u32) -> Use {
    Use::new(&Catalog::built_in(), feature, Some(quantity), None).unwrap()
}

async fn principal(env: &TestEnv, email: &str, workspace: &str) -> Principal {
    env.actor(email, workspace).await.into()
}

async fn balance(env: &TestEnv, principal: &Principal) -> Balance {
    async { view::balance(&env.ctx, &principal.permit()?).await }
        .await
        .unwrap()
}

async fn spend(
    env: &TestEnv,
    principal: &Principal,
    wanted: &Use,
    once: Option<&str>,
) -> Result<CreditEntry, AppError> {
    let mut tx = env.ctx.db().begin().await.unwrap();
    let entry = credits::spend(&mut tx, &principal.permit()?, wanted, once).await?;
    tx.commit().await.unwrap();
    Ok(entry)
}

async fn buy(env: &TestEnv, workspace: WorkspaceId, credits: u32, once: &str) -> CreditEntry {
    let mut tx = env.ctx.db().begin().await.unwrap();
    let origin = Origin::system();
    let entry = credits::purchase(
        Unattended::Provider,
        &mut tx,
        workspace,
        &origin,
        credits,
        once,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    entry
}

/// Leaves Acme with so many credits.
async fn leave(env: &TestEnv, principal: &Principal, credits: i64) {
    let there = balance(env, principal).await.total();
    let gone = u32::try_from(there - credits).unwrap();
    spend(env, principal, &uses("quick_answer", gone), None)
        .await
        .unwrap();
    assert_eq!(balance(env, principal).await.total(), credits);
}

/// Lets time pass for what the workspace has: grants and holds end that much sooner.
pub async fn pass(tx: &Tx, workspace: WorkspaceId, time: Duration) {
    let time = i64::try_from(time.as_millis()).unwrap();
    entity::CreditGrant::update_many()
        .col_expr(
            credit_grant::Column::ExpiresAt,
            Expr::col(credit_grant::Column::ExpiresAt).sub(time),
        )
        .filter(credit_grant::Column::WorkspaceId.eq(workspace))
        .exec(tx)
        .await
        .unwrap();
    entity::CreditHold::update_many()
        .col_expr(
            credit_hold::Column::ExpiresAt,
            Expr::col(credit_hold::Column::ExpiresAt).sub(time),
        )
        .filter(credit_hold::Column::WorkspaceId.eq(workspace))
        .exec(tx)
        .await
        .unwrap();
}

async fn let_time_pass(env: &TestEnv, workspace: WorkspaceId, time: Duration) {
    let tx = env.ctx.db().begin().await.unwrap();
    pass(&tx, workspace, time).await;
    tx.commit().await.unwrap();
}

async fn adds_up(env: &TestEnv) {
    assert_eq!(verify(env.ctx.db().read()).await.unwrap(), []);
}

/// `tries` spends of one credit, many at once: how many there were, and how many were refused for want of credits.
async fn race(env: &TestEnv, principal: &Principal, tries: u32) -> (u32, u32) {
    const AT_ONCE: u32 = 50;
    let runners = (0..AT_ONCE).map(|_| {
        let (ctx, principal) = (env.ctx.clone(), principal.clone());
        tokio::spawn(async move {
            let (mut won, mut short) = (0, 0);
            for _ in 0..tries / AT_ONCE {
                let mut tx = ctx.db().begin().await.unwrap();
                match credits::spend(
                    &mut tx,
                    &principal.permit().unwrap(),
                    &uses("quick_answer", 1),
                    None,
                )
                .await
                {
                    Ok(_) => {
                        tx.commit().await.unwrap();
                        won += 1;
                    }
                    Err(AppError::CreditsShort { .. }) => short += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            (won, short)
        })
    });
    let mut sum = (0, 0);
    for runner in runners.collect::<Vec<_>>() {
        let (won, short) = runner.await.unwrap();
        sum = (sum.0 + won, sum.1 + short);
    }
    sum
}

both! {
    async fn of_200_at_once_on_a_balance_of_one_one_wins(env) {
        let mia = principal(env, MIA, "acme").await;
        leave(env, &mia, 1).await;
        let before = env.events(EventType::CreditsSpent).await;
        assert_eq!(race(env, &mia, 200).await, (1, 199));
        assert_eq!(balance(env, &mia).await.total(), 0);
        assert_eq!(env.events(EventType::CreditsSpent).await, before + 1);
        adds_up(env).await;
    }

    async fn of_1600_spends_1000_credits_pay_for_1000(env) {
        let mia = principal(env, MIA, "acme").await;
        leave(env, &mia, 1000).await;
        assert_eq!(race(env, &mia, 1600).await, (1000, 600));
        assert_eq!(balance(env, &mia).await.total(), 0);
        adds_up(env).await;
    }

    async fn the_plans_credits_go_first_and_then_the_oldest_purchase(env) {
        let greta = principal(env, GRETA, "globex").await;
        let globex = greta.workspace();
        buy(env, globex, 100, "first").await;
        buy(env, globex, 100, "second").await;
        let there = balance(env, &greta).await;
        assert_eq!((there.plan, there.purchased), (500, 200));
        spend(env, &greta, &uses("quick_answer", 480), None).await.unwrap();
        let there = balance(env, &greta).await;
        assert_eq!((there.plan, there.purchased), (20, 200));
        spend(env, &greta, &uses("quick_answer", 90), None).await.unwrap();
        let left: Vec<i64> = entity::CreditGrant::find()
            .filter(credit_grant::Column::WorkspaceId.eq(globex))
            .filter(credit_grant::Column::Mode.eq(Mode::Live))
            .order_by_asc(credit_grant::Column::Id)
            .all(env.ctx.db().read()).await.unwrap()
            .iter().map(|grant| grant.remaining).collect();
        assert_eq!(left, [0, 30, 100]);
        adds_up(env).await;
    }

    async fn what_is_asked_twice_is_spent_once(env) {
        let mia = principal(env, MIA, "acme").await;
        let before = balance(env, &mia).await.total();
        let wanted = uses("smart_automation", 2);
        let tries = (0..20).map(|_| {
            let (ctx, mia, wanted) = (env.ctx.clone(), mia.clone(), wanted.clone());
            tokio::spawn(async move {
                let mut tx = ctx.db().begin().await.unwrap();
                let entry = credits::spend(&mut tx, &mia.permit().unwrap(), &wanted, Some("run 7")).await.unwrap();
                tx.commit().await.unwrap();
                entry
            })
        });
        let mut entries = Vec::new();
        for attempt in tries.collect::<Vec<_>>() {
            entries.push(attempt.await.unwrap());
        }
        assert!(entries.iter().all(|entry| *entry == entries[0]));
        assert_eq!(balance(env, &mia).await.total(), before - 20);
        let other = spend(env, &mia, &uses("smart_automation", 3), Some("run 7")).await;
        assert!(matches!(other, Err(AppError::Conflict(_))));
        assert_eq!(balance(env, &mia).await.total(), before - 20);
        adds_up(env).await;
    }

    async fn a_purchase_that_is_told_five_times_is_added_once(env) {
        let olivia = principal(env, OLIVIA, "acme").await;
        let before = balance(env, &olivia).await;
        let events = env.events(EventType::CreditsPurchased).await;
        for _ in 0..5 {
            buy(env, olivia.workspace(), 3000, "payment 1").await;
        }
        let after = balance(env, &olivia).await;
        assert_eq!((after.plan, after.purchased), (before.plan, before.purchased + 3000));
        assert_eq!(env.events(EventType::CreditsPurchased).await, events + 1);
        buy(env, olivia.workspace(), 3000, "payment 2").await;
        assert_eq!(balance(env, &olivia).await.purchased, before.purchased + 6000, "paid twice is granted twice");
        adds_up(env).await;
    }

    async fn a_renewal_ends_what_is_left_of_the_plans_and_keeps_what_was_bought(env) {
        let olivia = principal(env, OLIVIA, "acme").await;
        let acme = olivia.workspace();
        let before = balance(env, &olivia).await;
        assert!(before.plan > 0 && before.purchased > 0);
        let until = Timestamp::now().after(days(30));
        let catalog = Catalog::built_in();
        for _ in 0..3 {
            let mut tx = env.ctx.db().begin().await.unwrap();
            credits::renew(Unattended::Worker, &mut tx, acme, catalog.plan("max").unwrap(), until, "period 5").await.unwrap();
            tx.commit().await.unwrap();
        }
        let after = balance(env, &olivia).await;
        assert_eq!(after, Balance { plan: 5000, purchased: before.purchased, renews_at: Some(until) });
        let lines = view::entries(&env.ctx, &olivia.permit().unwrap(), None, None, 2).await.unwrap();
        assert_eq!((lines[0].kind, lines[0].amount), (EntryKind::Grant, 5000));
        assert_eq!((lines[1].kind, lines[1].amount), (EntryKind::Expiry, -before.plan));
        adds_up(env).await;
    }

    async fn the_plans_credits_expire_by_themselves(env) {
        let olivia = principal(env, OLIVIA, "acme").await;
        let before = balance(env, &olivia).await;
        let events = env.events(EventType::CreditsExpired).await;
        let_time_pass(env, olivia.workspace(), days(21)).await;
        assert_eq!(credits::sweep(&env.ctx).await.unwrap(), 2, "Acme's two accounts");
        let after = balance(env, &olivia).await;
        assert_eq!(after, Balance { plan: 0, purchased: before.purchased, renews_at: None });
        assert_eq!(env.events(EventType::CreditsExpired).await, events + 2);
        assert_eq!(credits::sweep(&env.ctx).await.unwrap(), 0);
        adds_up(env).await;
    }

    async fn low_is_said_once_on_the_way_down(env) {
        let mia = principal(env, MIA, "acme").await;
        let before = env.events(EventType::CreditsLow).await;
        leave(env, &mia, 200).await;
        assert_eq!(env.events(EventType::CreditsLow).await, before, "a tenth of the plan's 2,000 is not low yet");
        for _ in 0..5 {
            spend(env, &mia, &uses("quick_answer", 1), None).await.unwrap();
        }
        assert_eq!(env.events(EventType::CreditsLow).await, before + 1);
        let short = spend(env, &mia, &uses("quick_answer", 196), None).await;
        assert_eq!(short, Err(AppError::CreditsShort { needed: 196, balance: 195 }));
    }

    async fn a_workspace_says_when_its_people_are_warned(env) {
        let (mia, adam) = (principal(env, MIA, "acme").await, env.actor(ADAM, "acme").await);
        let set = async |mark| credits::set_low_balance_threshold(&env.ctx, &adam.permit().unwrap(), mark).await.unwrap();
        let low = async || env.events(EventType::CreditsLow).await;
        let quick = async |times| { spend(env, &mia, &uses("quick_answer", times), None).await.unwrap(); };
        let before = low().await;
        set(Some(500)).await;
        leave(env, &mia, 500).await;
        assert_eq!(low().await, before, "not below yet");
        quick(1).await;
        quick(399).await;
        assert_eq!((low().await, balance(env, &mia).await.total()), (before + 1, 100), "once on the way down");
        buy(env, mia.workspace(), 500, "more").await;
        quick(101).await;
        assert_eq!(low().await, before + 2, "and once more after it was above");
        set(Some(0)).await;
        quick(400).await;
        set(None).await;
        assert_eq!(low().await, before + 2, "never, and not for what lay below before");
        let changed = env.events(EventType::CreditsWarningChanged).await;
        set(None).await;
        assert_eq!((changed, env.events(EventType::CreditsWarningChanged).await), (3, 3), "nothing changed the last time");
        let mia = env.actor(MIA, "acme").await;
        let refused = async { credits::set_low_balance_threshold(&env.ctx, &mia.permit()?, Some(1)).await }.await;
        assert_eq!(refused, Err(AppError::Forbidden { permission: Permission::ManageBilling }));
        adds_up(env).await;
    }

    async fn cleo_sees_no_credits_and_greta_only_her_own(env) {
        let cleo = principal(env, CLEO, "acme").await;
        let forbidden = |permission| AppError::Forbidden { permission };
        let see = async { view::balance(&env.ctx, &cleo.permit()?).await }.await;
        assert_eq!(see, Err(forbidden(Permission::SeeCredits)));
        let lines = async { view::entries(&env.ctx, &cleo.permit()?, None, None, 5).await }.await;
        assert_eq!(lines, Err(forbidden(Permission::SeeCredits)));
        let spent = spend(env, &cleo, &uses("quick_answer", 1), None).await;
        assert_eq!(spent, Err(forbidden(Permission::SpendCredits)));
        let greta = principal(env, GRETA, "globex").await;
        let lines = view::entries(&env.ctx, &greta.permit().unwrap(), None, None, 100).await.unwrap();
        assert_eq!(lines.len(), 1, "her plan's credits and nothing of Acme's");
        let adam = principal(env, ADAM, "globex").await;
        assert_eq!(balance(env, &adam).await, balance(env, &greta).await);
    }

    async fn every_line_has_its_event(env) {
        let acme = principal(env, MIA, "acme").await.workspace();
        let lines = entity::CreditEntry::find()
            .filter(credit_entry::Column::WorkspaceId.eq(acme))
            .all(env.ctx.db().read()).await.unwrap();
        let events = entity::Event::find()
            .filter(event::Column::WorkspaceId.eq(acme))
            .all(env.ctx.db().read()).await.unwrap();
        assert!(lines.len() > 30);
        for line in lines {
            let told = events.iter().filter(|event| event.data["entry"] == line.id.to_string());
            let told: Vec<_> = told.map(|event| (event.mode, event.created_at)).collect();
            assert_eq!(told, [(line.mode, line.created_at)], "{:?}", line.kind);
        }
    }

    async fn a_balance_that_was_tampered_with_is_found(env) {
        adds_up(env).await;
        let acme = principal(env, MIA, "acme").await.workspace();
        let tx = env.ctx.db().begin().await.unwrap();
        entity::CreditAccount::update_many()
            .col_expr(credit_account::Column::Balance, Expr::value(9999_i64))
            .filter(credit_account::Column::WorkspaceId.eq(acme))
            .filter(credit_account::Column::Mode.eq(Mode::Live))
            .exec(&tx).await.unwrap();
        let faults = verify(&tx).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(faults.len(), 2);
        assert!(faults.iter().all(|fault| (fault.workspace, fault.mode) == (acme, Mode::Live)));
    }

    async fn a_new_workspace_begins_with_the_trials_credits(env) {
        use domain::workspace::NewWorkspaceForm;
        use store::workspace::create;
        let mia = env.person(MIA).await;
        let form = NewWorkspaceForm { name: "Initech".to_owned(), ..Default::default() };
        let slug = create(&env.ctx, &mia, &form).await.unwrap();
        let mia = principal(env, MIA, slug.as_str()).await;
        let there = balance(env, &mia).await;
        assert_eq!((there.plan, there.purchased), (2000, 0));
        let ends = there.renews_at.unwrap().since(Timestamp::now());
        assert!(ends <= days(7) && ends > hours(7 * 24 - 1));
        adds_up(env).await;
    }
}
