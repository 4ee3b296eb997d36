//! Credits: who may spend them, what is taken first, that nothing is spent twice or out of nothing.

use app::catalog::{Catalog, EventType, Mode};
use app::db::Tx;
use app::db::entity::{self, credit_account, credit_entry, credit_grant, credit_hold, event};
use app::domain::{AppError, Permission, Timestamp, WorkspaceId, days, hours, minutes};
use app::events::Origin;
use app::session::Principal;
use app::settings::credits::dto::{EntryOut, Use};
use app::settings::credits::model::{EntryKind, HoldStatus};
use app::settings::credits::verify::verify;
use app::settings::credits::view::{self, Balance};
use app::settings::credits::{holds, store};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder};
use std::time::Duration;

use crate::support::{ADAM, CLEO, GRETA, MIA, OLIVIA, World, both};

fn uses(feature: &str, quantity: u32) -> Use {
    Use::new(&Catalog::built_in(), feature, Some(quantity), None).unwrap()
}

async fn agent(world: &World, email: &str, workspace: &str) -> Principal {
    world.actor(email, workspace).await.into()
}

async fn balance(world: &World, agent: &Principal) -> Balance {
    view::balance(&world.ctx, agent).await.unwrap()
}

async fn spend(
    world: &World,
    agent: &Principal,
    wanted: &Use,
    once: Option<&str>,
) -> Result<EntryOut, AppError> {
    let mut tx = world.ctx.db().begin().await.unwrap();
    let entry = store::spend(&mut tx, agent, wanted, once).await?;
    tx.commit().await.unwrap();
    Ok(entry)
}

async fn buy(world: &World, workspace: WorkspaceId, credits: u32, once: &str) -> EntryOut {
    let mut tx = world.ctx.db().begin().await.unwrap();
    let origin = Origin::system();
    let entry = store::purchase(&mut tx, workspace, &origin, credits, once)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    entry
}

/// Leaves Acme with so many credits.
async fn leave(world: &World, agent: &Principal, credits: i64) {
    let there = balance(world, agent).await.total();
    let gone = u32::try_from(there - credits).unwrap();
    spend(world, agent, &uses("quick_answer", gone), None)
        .await
        .unwrap();
    assert_eq!(balance(world, agent).await.total(), credits);
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

async fn let_time_pass(world: &World, workspace: WorkspaceId, time: Duration) {
    let tx = world.ctx.db().begin().await.unwrap();
    pass(&tx, workspace, time).await;
    tx.commit().await.unwrap();
}

async fn adds_up(world: &World) {
    assert_eq!(verify(world.ctx.db().read()).await.unwrap(), []);
}

/// `tries` spends of one credit, many at once: how many there were, and how many were refused for want of credits.
async fn race(world: &World, agent: &Principal, tries: u32) -> (u32, u32) {
    const AT_ONCE: u32 = 50;
    let runners = (0..AT_ONCE).map(|_| {
        let (ctx, agent) = (world.ctx.clone(), agent.clone());
        tokio::spawn(async move {
            let (mut won, mut short) = (0, 0);
            for _ in 0..tries / AT_ONCE {
                let mut tx = ctx.db().begin().await.unwrap();
                match store::spend(&mut tx, &agent, &uses("quick_answer", 1), None).await {
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
    async fn of_200_at_once_on_a_balance_of_one_one_wins(world) {
        let mia = agent(world, MIA, "acme").await;
        leave(world, &mia, 1).await;
        let before = world.events(EventType::CreditsSpent).await;
        assert_eq!(race(world, &mia, 200).await, (1, 199));
        assert_eq!(balance(world, &mia).await.total(), 0);
        assert_eq!(world.events(EventType::CreditsSpent).await, before + 1);
        adds_up(world).await;
    }

    async fn of_1600_spends_1000_credits_pay_for_1000(world) {
        let mia = agent(world, MIA, "acme").await;
        leave(world, &mia, 1000).await;
        assert_eq!(race(world, &mia, 1600).await, (1000, 600));
        assert_eq!(balance(world, &mia).await.total(), 0);
        adds_up(world).await;
    }

    async fn the_plans_credits_go_first_and_then_the_oldest_purchase(world) {
        let greta = agent(world, GRETA, "globex").await;
        let globex = greta.workspace();
        buy(world, globex, 100, "first").await;
        buy(world, globex, 100, "second").await;
        let there = balance(world, &greta).await;
        assert_eq!((there.plan, there.purchased), (500, 200));
        spend(world, &greta, &uses("quick_answer", 480), None).await.unwrap();
        let there = balance(world, &greta).await;
        assert_eq!((there.plan, there.purchased), (20, 200));
        spend(world, &greta, &uses("quick_answer", 90), None).await.unwrap();
        let left: Vec<i64> = entity::CreditGrant::find()
            .filter(credit_grant::Column::WorkspaceId.eq(globex))
            .filter(credit_grant::Column::Mode.eq(Mode::Live))
            .order_by_asc(credit_grant::Column::Id)
            .all(world.ctx.db().read()).await.unwrap()
            .iter().map(|grant| grant.remaining).collect();
        assert_eq!(left, [0, 30, 100]);
        adds_up(world).await;
    }

    async fn what_is_asked_twice_is_spent_once(world) {
        let mia = agent(world, MIA, "acme").await;
        let before = balance(world, &mia).await.total();
        let wanted = uses("smart_automation", 2);
        let tries = (0..20).map(|_| {
            let (ctx, mia, wanted) = (world.ctx.clone(), mia.clone(), wanted.clone());
            tokio::spawn(async move {
                let mut tx = ctx.db().begin().await.unwrap();
                let entry = store::spend(&mut tx, &mia, &wanted, Some("run 7")).await.unwrap();
                tx.commit().await.unwrap();
                entry
            })
        });
        let mut entries = Vec::new();
        for attempt in tries.collect::<Vec<_>>() {
            entries.push(attempt.await.unwrap());
        }
        assert!(entries.iter().all(|entry| *entry == entries[0]));
        assert_eq!(balance(world, &mia).await.total(), before - 20);
        let other = spend(world, &mia, &uses("smart_automation", 3), Some("run 7")).await;
        assert!(matches!(other, Err(AppError::Conflict(_))));
        assert_eq!(balance(world, &mia).await.total(), before - 20);
        adds_up(world).await;
    }

    async fn a_purchase_that_is_told_five_times_is_added_once(world) {
        let olivia = agent(world, OLIVIA, "acme").await;
        let before = balance(world, &olivia).await;
        let events = world.events(EventType::CreditsPurchased).await;
        for _ in 0..5 {
            buy(world, olivia.workspace(), 3000, "payment 1").await;
        }
        let after = balance(world, &olivia).await;
        assert_eq!((after.plan, after.purchased), (before.plan, before.purchased + 3000));
        assert_eq!(world.events(EventType::CreditsPurchased).await, events + 1);
        buy(world, olivia.workspace(), 3000, "payment 2").await;
        assert_eq!(balance(world, &olivia).await.purchased, before.purchased + 6000, "paid twice is granted twice");
        adds_up(world).await;
    }

    async fn a_renewal_ends_what_is_left_of_the_plans_and_keeps_what_was_bought(world) {
        let olivia = agent(world, OLIVIA, "acme").await;
        let acme = olivia.workspace();
        let before = balance(world, &olivia).await;
        assert!(before.plan > 0 && before.purchased > 0);
        let until = Timestamp::now().after(days(30));
        let catalog = Catalog::built_in();
        for _ in 0..3 {
            let mut tx = world.ctx.db().begin().await.unwrap();
            store::renew(&mut tx, acme, catalog.plan("max").unwrap(), until, "period 5").await.unwrap();
            tx.commit().await.unwrap();
        }
        let after = balance(world, &olivia).await;
        assert_eq!(after, Balance { plan: 5000, purchased: before.purchased, renews_at: Some(until) });
        let lines = view::entries(&world.ctx, &olivia, None, None, 2).await.unwrap();
        assert_eq!((lines[0].kind, lines[0].amount), (EntryKind::Grant, 5000));
        assert_eq!((lines[1].kind, lines[1].amount), (EntryKind::Expiry, -before.plan));
        adds_up(world).await;
    }

    async fn the_plans_credits_expire_by_themselves(world) {
        let olivia = agent(world, OLIVIA, "acme").await;
        let before = balance(world, &olivia).await;
        let events = world.events(EventType::CreditsExpired).await;
        let_time_pass(world, olivia.workspace(), days(21)).await;
        assert_eq!(store::sweep(&world.ctx).await.unwrap(), 2, "Acme's two books");
        let after = balance(world, &olivia).await;
        assert_eq!(after, Balance { plan: 0, purchased: before.purchased, renews_at: None });
        assert_eq!(world.events(EventType::CreditsExpired).await, events + 2);
        assert_eq!(store::sweep(&world.ctx).await.unwrap(), 0);
        adds_up(world).await;
    }

    async fn a_hold_keeps_what_it_may_cost_and_gives_the_rest_back(world) {
        let mia = agent(world, MIA, "acme").await;
        let db = world.ctx.db();
        let before = balance(world, &mia).await.total();
        let mut tx = db.begin().await.unwrap();
        let hold = holds::reserve(&mut tx, &mia, &uses("smart_automation", 8), minutes(5)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((hold.reserved, hold.balance), (80, before - 80));
        assert_eq!(balance(world, &mia).await.total(), before - 80);
        adds_up(world).await;

        let mut tx = db.begin().await.unwrap();
        let more = holds::capture(&mut tx, &mia, hold.id, Some(9)).await;
        assert!(matches!(more, Err(AppError::Invalid(_))), "no more than was reserved");
        tx.rollback().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        let done = holds::capture(&mut tx, &mia, hold.id, Some(3)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((done.status, done.captured, done.balance), (HoldStatus::Captured, 30, before - 30));
        let mut tx = db.begin().await.unwrap();
        assert!(matches!(holds::release(&mut tx, &mia, hold.id).await, Err(AppError::Conflict(_))));
        tx.rollback().await.unwrap();
        assert_eq!(balance(world, &mia).await.total(), before - 30);

        let mut tx = db.begin().await.unwrap();
        let hold = holds::reserve(&mut tx, &mia, &uses("smart_automation", 8), minutes(5)).await.unwrap();
        tx.commit().await.unwrap();
        let greta = agent(world, GRETA, "globex").await;
        let mut tx = db.begin().await.unwrap();
        assert_eq!(holds::capture(&mut tx, &greta, hold.id, None).await, Err(AppError::NotFound));
        tx.rollback().await.unwrap();
        let mut tx = db.begin().await.unwrap();
        holds::release(&mut tx, &mia, hold.id).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(balance(world, &mia).await.total(), before - 30);
        adds_up(world).await;
    }

    async fn a_hold_that_is_forgotten_comes_back(world) {
        let mia = agent(world, MIA, "acme").await;
        let before = balance(world, &mia).await;
        let mut tx = world.ctx.db().begin().await.unwrap();
        let hold = holds::reserve(&mut tx, &mia, &uses("general_ai", 50), minutes(5)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(balance(world, &mia).await.total(), before.total() - 100);
        let_time_pass(world, mia.workspace(), minutes(5)).await;
        assert_eq!(balance(world, &mia).await.total(), before.total(), "whoever looks finds it in order");
        let mut tx = world.ctx.db().begin().await.unwrap();
        assert!(matches!(holds::capture(&mut tx, &mia, hold.id, None).await, Err(AppError::Conflict(_))));
        drop(tx);
        adds_up(world).await;
    }

    async fn a_refund_is_a_line_of_its_own_and_never_more_than_was_spent(world) {
        let mia = agent(world, MIA, "acme").await;
        let before = balance(world, &mia).await;
        let spent = spend(world, &mia, &uses("analyze_and_suggest", 20), None).await.unwrap();
        let refund = async |credits| {
            let mut tx = world.ctx.db().begin().await.unwrap();
            let entry = store::refund(&mut tx, spent.id, credits).await?;
            tx.commit().await.unwrap();
            Ok::<_, AppError>(entry)
        };
        let part = refund(Some(30)).await.unwrap();
        assert_eq!((part.kind, part.amount), (EntryKind::Refund, 30));
        assert!(matches!(refund(Some(71)).await, Err(AppError::Conflict(_))));
        assert_eq!(refund(None).await.unwrap().amount, 70);
        assert!(matches!(refund(None).await, Err(AppError::Conflict(_))));
        assert_eq!(balance(world, &mia).await, before);
        let row = entity::CreditEntry::find_by_id(spent.id).one(world.ctx.db().read()).await.unwrap().unwrap();
        assert_eq!((row.kind, row.amount), (EntryKind::Spend, -100), "the line itself stays");
        let mut tx = world.ctx.db().begin().await.unwrap();
        assert_eq!(store::refund(&mut tx, part.id, None).await, Err(AppError::NotFound), "only what was spent");
        drop(tx);
        adds_up(world).await;
    }

    async fn low_is_said_once_on_the_way_down(world) {
        let mia = agent(world, MIA, "acme").await;
        let before = world.events(EventType::CreditsLow).await;
        leave(world, &mia, 200).await;
        assert_eq!(world.events(EventType::CreditsLow).await, before, "a tenth of the plan's 2,000 is not low yet");
        for _ in 0..5 {
            spend(world, &mia, &uses("quick_answer", 1), None).await.unwrap();
        }
        assert_eq!(world.events(EventType::CreditsLow).await, before + 1);
        let short = spend(world, &mia, &uses("quick_answer", 196), None).await;
        assert_eq!(short, Err(AppError::CreditsShort { needed: 196, balance: 195 }));
    }

    async fn a_workspace_says_when_its_people_are_warned(world) {
        let (mia, adam) = (agent(world, MIA, "acme").await, world.actor(ADAM, "acme").await);
        let set = async |mark| store::set_low_balance_threshold(&world.ctx, &adam, mark).await.unwrap();
        let low = async || world.events(EventType::CreditsLow).await;
        let quick = async |times| { spend(world, &mia, &uses("quick_answer", times), None).await.unwrap(); };
        let before = low().await;
        set(Some(500)).await;
        leave(world, &mia, 500).await;
        assert_eq!(low().await, before, "not below yet");
        quick(1).await;
        quick(399).await;
        assert_eq!((low().await, balance(world, &mia).await.total()), (before + 1, 100), "once on the way down");
        buy(world, mia.workspace(), 500, "more").await;
        quick(101).await;
        assert_eq!(low().await, before + 2, "and once more after it was above");
        set(Some(0)).await;
        quick(400).await;
        set(None).await;
        assert_eq!(low().await, before + 2, "never, and not for what lay below before");
        let changed = world.events(EventType::CreditsWarningChanged).await;
        set(None).await;
        assert_eq!((changed, world.events(EventType::CreditsWarningChanged).await), (3, 3), "nothing changed the last time");
        let mia = world.actor(MIA, "acme").await;
        let refused = store::set_low_balance_threshold(&world.ctx, &mia, Some(1)).await;
        assert_eq!(refused, Err(AppError::Forbidden { permission: Permission::ManageBilling }));
        adds_up(world).await;
    }

    async fn cleo_sees_no_credits_and_greta_only_her_own(world) {
        let cleo = agent(world, CLEO, "acme").await;
        let forbidden = |permission| AppError::Forbidden { permission };
        let see = view::balance(&world.ctx, &cleo).await;
        assert_eq!(see, Err(forbidden(Permission::SeeCredits)));
        let lines = view::entries(&world.ctx, &cleo, None, None, 5).await;
        assert_eq!(lines, Err(forbidden(Permission::SeeCredits)));
        let spent = spend(world, &cleo, &uses("quick_answer", 1), None).await;
        assert_eq!(spent, Err(forbidden(Permission::SpendCredits)));
        let greta = agent(world, GRETA, "globex").await;
        let lines = view::entries(&world.ctx, &greta, None, None, 100).await.unwrap();
        assert_eq!(lines.len(), 1, "her plan's credits and nothing of Acme's");
        let adam = agent(world, ADAM, "globex").await;
        assert_eq!(balance(world, &adam).await, balance(world, &greta).await);
    }

    async fn every_line_has_its_event(world) {
        let acme = agent(world, MIA, "acme").await.workspace();
        let lines = entity::CreditEntry::find()
            .filter(credit_entry::Column::WorkspaceId.eq(acme))
            .all(world.ctx.db().read()).await.unwrap();
        let events = entity::Event::find()
            .filter(event::Column::WorkspaceId.eq(acme))
            .all(world.ctx.db().read()).await.unwrap();
        assert!(lines.len() > 30);
        for line in lines {
            let told = events.iter().filter(|event| event.data["entry"] == line.id.to_string());
            let told: Vec<_> = told.map(|event| (event.mode, event.created_at)).collect();
            assert_eq!(told, [(line.mode, line.created_at)], "{:?}", line.kind);
        }
    }

    async fn a_balance_that_was_tampered_with_is_found(world) {
        adds_up(world).await;
        let acme = agent(world, MIA, "acme").await.workspace();
        let tx = world.ctx.db().begin().await.unwrap();
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

    async fn a_new_workspace_begins_with_the_trials_credits(world) {
        use app::settings::workspace::model::NewWorkspaceForm;
        use app::settings::workspace::store::create;
        let mia = world.person(MIA).await;
        let form = NewWorkspaceForm { name: "Initech".to_owned(), ..Default::default() };
        let slug = create(&world.ctx, &mia, &form).await.unwrap();
        let mia = agent(world, MIA, slug.as_str()).await;
        let there = balance(world, &mia).await;
        assert_eq!((there.plan, there.purchased), (2000, 0));
        let ends = there.renews_at.unwrap().since(Timestamp::now());
        assert!(ends <= days(7) && ends > hours(7 * 24 - 1));
        adds_up(world).await;
    }
}
