//! Filters are tried beside everybody else: who makes them costly waits for them alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::catalog::EventType;
use domain::webhooks::Operator;
use domain::{EventId, Timestamp, WorkspaceId};
use serde_json::{Value, json};
use store::auth::{Caller, Principal};
use store::db::entity;
use store::db::sea_orm::sea_query::Expr;
use store::db::sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    Statement,
};
use store::dispatch::DispatcherShard;
use store::events::{self, NewEvent, Origin};
use store::rate_limit::auth::AuthLimits;
use store::webhooks;
use store::webhooks::direct_dispatch::DirectDispatch;
use store::webhooks::dto::CreateWebhookRequest;
use store::webhooks::fan_out::{Budget, MatchTargets, Planned};
use store::webhooks::filter::Filter;
use tokio_util::sync::CancellationToken;
use wheelhouse::work::dispatch::{self, dispatch_all};

use crate::both::both;
use crate::support::{Kind, Server, Template, info, site};

/// As many as are dispatched with those of others, with the two that Acme's demo has.
const WEBHOOKS: usize = 14;
const FILTERS: usize = 19;
const EVENTS: usize = 10;

async fn principal(server: &Server, who: &str, workspace: &str) -> Principal {
    let cookie = server.cookies[who].expose().to_owned();
    Caller::new(server.ctx.clone(), info(), Some(cookie))
        .actor(workspace)
        .await
        .unwrap()
        .into()
}

async fn webhook(server: &Server, principal: &Principal, filters: Vec<Filter>) {
    let input = CreateWebhookRequest {
        url: "https://hooks.example.com/in".into(),
        event_types: vec!["contact.created".into()],
        filters,
        ..CreateWebhookRequest::default()
    };
    let mut tx = server.ctx.db().begin().await.unwrap();
    webhooks::create(&mut tx, &server.ctx, &principal.permit().unwrap(), &input)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Filters that all hold, and read a text from end to end for that.
fn costly(webhook: usize) -> Vec<Filter> {
    (0..FILTERS)
        .map(|n| Filter {
            path: "data.text".into(),
            operator: Operator::NotContains,
            value: Some(format!("needle needle {webhook} {n}").into()),
        })
        .collect()
}

fn large() -> Value {
    json!({"text": "needle ".repeat(9_000)})
}

async fn event(server: &Server, workspace: WorkspaceId, data: Value) -> EventId {
    let mut tx = server.ctx.db().begin().await.unwrap();
    let event = NewEvent::in_workspace(workspace, EventType::ContactCreated, data);
    let id = events::record(&mut tx, Origin::system(), event)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

async fn waiting(server: &Server, workspace: WorkspaceId) -> u64 {
    entity::Event::find()
        .filter(entity::event::Column::WorkspaceId.eq(workspace))
        .filter(entity::event::Column::DispatchedAt.is_null())
        .count(server.ctx.db().read())
        .await
        .unwrap()
}

async fn deliveries(server: &Server, events: &[EventId]) -> u64 {
    entity::Delivery::find()
        .filter(entity::delivery::Column::EventId.is_in(events.iter().copied()))
        .count(server.ctx.db().read())
        .await
        .unwrap()
}

/// Somebody else writes.
async fn write(server: &Server, workspace: WorkspaceId) {
    use entity::workspace::Column;
    let tx = server.ctx.db().begin().await.unwrap();
    entity::Workspace::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(Timestamp::now()))
        .filter(Column::Id.eq(workspace))
        .exec(&tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// How long it takes to match one event.
async fn time_to_match(server: &Server, workspace: WorkspaceId, event: EventId) -> Duration {
    let event = entity::Event::find_by_id(event)
        .one(server.ctx.db().read())
        .await
        .unwrap()
        .unwrap();
    let listeners = MatchTargets::load(server.ctx.db(), [workspace].into())
        .await
        .unwrap();
    let whole_event = Budget {
        workspace: Duration::ZERO,
        turn: Duration::ZERO,
        whole_event: true,
    };
    let begun = Instant::now();
    listeners.matches(vec![Arc::new(event)], whole_event);
    begun.elapsed()
}

/// How long a transaction of this server keeps others waiting. On SQLite, which has one writer, a write shows it; on
/// PostgreSQL, how long one has been waiting for the program.
async fn longest_transaction(server: &Server, workspace: WorkspaceId) -> Duration {
    let db = server.ctx.db();
    if db.backend() != DbBackend::Postgres {
        let begun = Instant::now();
        write(server, workspace).await;
        return begun.elapsed();
    }
    let sql = "SELECT COALESCE(MAX(EXTRACT(EPOCH FROM clock_timestamp() - state_change)), 0)::float8
               FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'";
    let row = db
        .read()
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
    let seconds: f64 = row.await.unwrap().unwrap().try_get_by_index(0).unwrap();
    Duration::from_secs_f64(seconds.max(0.0))
}

/// Acme with costly webhooks, and Globex with one that takes everything.
async fn costly_and_other(server: &Server) -> (Principal, Principal) {
    let acme = principal(server, "olivia", "acme").await;
    let globex = principal(server, "greta", "globex").await;
    for n in 0..WEBHOOKS {
        webhook(server, &acme, costly(n)).await;
    }
    webhook(server, &globex, Vec::new()).await;
    dispatch_all(&server.ctx).await.unwrap();
    (acme, globex)
}

both! {
    async fn while_costly_filters_are_tried_others_write_and_their_events_go_first(server) {
        let (acme, globex) = costly_and_other(server).await;
        let mut costly = Vec::new();
        for _ in 0..EVENTS {
            costly.push(event(server, acme.workspace(), large()).await);
        }
        let other = event(server, globex.workspace(), json!({"n": 1})).await;
        let stop = CancellationToken::new();
        let begun = Instant::now();
        let dispatcher = tokio::spawn(dispatch::run(
            server.ctx.clone(), DispatcherShard::FewWebhooks, DirectDispatch::default(), stop.clone(),
        ));
        let (mut writes, mut before) = (0, None);
        loop {
            let left = waiting(server, acme.workspace()).await;
            if before.is_none() && deliveries(server, &[other]).await == 1 {
                before = Some(left);
            }
            if left == 0 || begun.elapsed() > Duration::from_mins(2) {
                break;
            }
            write(server, globex.workspace()).await;
            writes += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        dispatcher.await.unwrap();
        assert!(before.is_some_and(|left| left > 0), "Globex is served while Acme's events wait: {before:?}");
        assert!(writes >= 10, "{writes} writes");
        assert_eq!(waiting(server, acme.workspace()).await, 0);
        assert_eq!(deliveries(server, &costly).await, (EVENTS * WEBHOOKS) as u64, "none is left out, and none twice");
    }

    async fn nothing_is_matched_within_a_transaction(server) {
        let (acme, globex) = costly_and_other(server).await;
        // In the quietest of some rounds: what else the machine does must not count.
        let mut held = Duration::MAX;
        let mut to_match = Duration::MAX;
        for _ in 0..5 {
            let id = event(server, acme.workspace(), large()).await;
            to_match = to_match.min(time_to_match(server, acme.workspace(), id).await);
            let dispatching = tokio::spawn({
                let ctx = server.ctx.clone();
                async move { dispatch_all(&ctx).await }
            });
            let mut longest = Duration::ZERO;
            while !dispatching.is_finished() {
                longest = longest.max(longest_transaction(server, globex.workspace()).await);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            dispatching.await.unwrap().unwrap();
            held = held.min(longest);
        }
        assert!(held < to_match / 2, "a transaction was held for {held:?}, an event is matched in {to_match:?}");
    }

    async fn a_webhook_that_is_deleted_while_events_are_matched_gets_nothing_and_the_others_do(server) {
        let (acme, _) = costly_and_other(server).await;
        let id = event(server, acme.workspace(), json!({"text": "short"})).await;
        let found = entity::Event::find_by_id(id).one(server.ctx.db().read()).await.unwrap().unwrap();
        let targets = MatchTargets::load(server.ctx.db(), [acme.workspace()].into()).await.unwrap();
        let enough = Duration::from_mins(10);
        let budget = Budget { workspace: enough, turn: enough, whole_event: true };
        let matched = targets.matches(vec![Arc::new(found)], budget);
        let all = matched.matches.len() as u64;
        let planned = Planned::new(&server.ctx, &DirectDispatch::default(), &matched.matches).unwrap();
        let last = entity::Webhook::find()
            .filter(entity::webhook::Column::WorkspaceId.eq(acme.workspace()))
            .order_by_desc(entity::webhook::Column::Id)
            .one(server.ctx.db().read())
            .await
            .unwrap()
            .unwrap();
        let tx = server.ctx.db().begin().await.unwrap();
        entity::Webhook::delete_by_id(last.id).exec(&tx).await.unwrap();
        tx.commit().await.unwrap();
        let tx = server.ctx.db().begin().await.unwrap();
        planned.write(&tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(deliveries(server, &[id]).await, all - 1);
    }

    async fn what_is_beyond_a_budget_waits_and_nothing_else_does(server) {
        let (acme, globex) = costly_and_other(server).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(event(server, acme.workspace(), large()).await);
            ids.push(event(server, globex.workspace(), json!({})).await);
        }
        let events: Vec<Arc<_>> = entity::Event::find()
            .filter(entity::event::Column::Id.is_in(ids.iter().copied()))
            .order_by_asc(entity::event::Column::Id)
            .all(server.ctx.db().read())
            .await
            .unwrap()
            .into_iter()
            .map(Arc::new)
            .collect();
        let workspaces = [acme.workspace(), globex.workspace()];
        let listeners = MatchTargets::load(server.ctx.db(), workspaces.into()).await.unwrap();
        let none = Budget { workspace: Duration::ZERO, turn: Duration::ZERO, whole_event: false };
        let enough = Duration::from_mins(10);
        for (budget, events_of_acme, is_costly) in [
            (none, 0, true),
            (Budget { whole_event: true, ..none }, 1, true),
            (Budget { workspace: enough, turn: enough, whole_event: false }, 3, false),
        ] {
            let matched = listeners.matches(events.clone(), budget);
            let of = |workspace| matched.events.iter().filter(|event| event.workspace_id == Some(workspace)).count();
            assert_eq!((of(acme.workspace()), of(globex.workspace())), (events_of_acme, 3), "{budget:?}");
            assert_eq!(matched.matches.len(), events_of_acme * WEBHOOKS + 3, "{budget:?}");
            assert_eq!(matched.costly.contains(&acme.workspace()), is_costly, "{budget:?}");
            assert!(!matched.costly.contains(&globex.workspace()));
        }
    }
}

async fn dry_runs_are_limited(kind: Kind) {
    let server = Template::new(kind)
        .await
        .copy_as(site(), AuthLimits::on())
        .await;
    let form = [
        ("form[workspace]", "acme".to_owned()),
        ("form[url]", "https://hooks.example.com/in".to_owned()),
        ("form[filters][0][path]", "data.stage".to_owned()),
        ("form[filters][0][operator]", "equals".to_owned()),
        ("form[filters][0][value]", "won".to_owned()),
        ("form[dry_run]", "yes".to_owned()),
    ];
    let mut refused = None;
    for n in 0..20 {
        let answer = server.call("olivia", "/fn/create_webhook", &form).await;
        if answer.status == 429 {
            refused = Some((n, answer));
            break;
        }
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("events match"));
    }
    let (times, answer) = refused.expect("there is an end to it");
    assert!((10..13).contains(&times), "{times}");
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=7).contains(&wait), "{wait}");
    let mut others = form.clone();
    "globex".clone_into(&mut others[0].1);
    let answer = server.call("greta", "/fn/create_webhook", &others).await;
    assert_eq!(
        answer.status, 200,
        "each workspace has an allowance of its own"
    );
    let hooks = entity::Webhook::find().count(server.ctx.db().read());
    assert_eq!(hooks.await.unwrap(), 2, "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_runs_are_limited_on_sqlite() {
    dry_runs_are_limited(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_runs_are_limited_on_postgres() {
    dry_runs_are_limited(Kind::Postgres).await;
}
