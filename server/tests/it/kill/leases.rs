//! What a stopped, killed or slow program had leased: who sends it, when, and how often.

use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::webhooks::DeliveryStatus;
use store::db::entity;
use store::db::sea_orm::{EntityTrait, PaginatorTrait};
use wheelhouse::work::webhooks::{Settings, attempt::WebhookClient, connector::System, send_due};

use super::setting;

fn signal(program: &Child, name: &str) {
    let done = Command::new("kill")
        .args([name, &program.id().to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}

async fn stopped_past_its_lease_and_continued(postgres: bool) {
    let setting = setting(postgres, &["/stuck"]).await;
    let mut program = setting.spawn();
    setting.record(0).await;
    let begun = Instant::now();
    while setting.receiver.ids("/stuck").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing is sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    signal(&program, "-STOP");
    // Its lease runs out, and another worker does the work.
    setting.hurry(true).await;
    setting
        .ctx
        .set_webhooks(store::webhooks::address::Policy::allowing(vec![
            "127.0.0.0/8".parse().unwrap(),
        ]));
    let settings = Settings {
        client: WebhookClient::new(Arc::new(System), setting.ctx.webhooks().clone()),
        waits: Arc::new([]),
    };
    send_due(&setting.ctx, &settings).await.unwrap();
    let find = || async {
        entity::Delivery::find()
            .one(setting.ctx.db().read())
            .await
            .unwrap()
            .unwrap()
    };
    let done = find().await;
    assert_eq!((done.status, done.attempts), (DeliveryStatus::Delivered, 1));
    signal(&program, "-CONT");
    // Long enough for it to read the answer that waits, and to try to write down what it thinks came of it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(setting.receiver.times("/stuck"), 2, "both have sent");
    assert_eq!(find().await, done, "what the other wrote stands");
    let attempts = entity::DeliveryAttempt::find()
        .count(setting.ctx.db().read())
        .await
        .unwrap();
    assert_eq!(attempts, 1);
    program.kill().unwrap();
    program.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_stopped_past_its_lease_and_continued_changes_nothing_on_sqlite() {
    stopped_past_its_lease_and_continued(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_stopped_past_its_lease_and_continued_changes_nothing_on_postgres() {
    stopped_past_its_lease_and_continued(true).await;
}

async fn killed_and_started_again(postgres: bool, most: Duration) {
    let setting = setting(postgres, &["/stuck", "/good"]).await;
    let mut program = setting.spawn();
    setting.record(0).await;
    let within = async |what: &str, is: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is() {
            assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let receiver = &setting.receiver;
    within("both are sent", &|| {
        receiver.times("/stuck") == 1 && receiver.times("/good") == 1
    })
    .await;
    // In the middle of an attempt.
    program.kill().unwrap();
    program.wait().unwrap();
    setting.record(1).await;
    let mut program = setting.spawn();
    within("what is new is sent", &|| receiver.times("/good") >= 2).await;
    let begun = Instant::now();
    // What is new goes to this one too.
    within("what was under way is sent again", &|| {
        receiver.times("/stuck") >= 3
    })
    .await;
    let extra = begun.elapsed();
    println!("taken over {extra:?} after what was new");
    assert!(extra < most, "{extra:?}");
    program.kill().unwrap();
    program.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_program_held_is_sent_soon_after_it_is_started_again_on_sqlite() {
    killed_and_started_again(false, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_program_held_is_sent_soon_after_it_is_started_again_on_postgres() {
    killed_and_started_again(true, Duration::from_secs(15)).await;
}

/// A receiver that takes longer than a silent process counts as alive.
async fn a_slow_attempt_is_left_to_who_makes_it(postgres: bool) {
    let setting = setting(postgres, &["/slowest"]).await;
    let mut programs = [setting.spawn(), setting.spawn()];
    // Both are there.
    tokio::time::sleep(Duration::from_secs(2)).await;
    setting.record(0).await;
    let begun = Instant::now();
    while setting.pending().await > 0 && begun.elapsed() < Duration::from_secs(40) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for program in &mut programs {
        program.kill().unwrap();
        program.wait().unwrap();
    }
    assert_eq!(setting.receiver.times("/slowest"), 1);
    assert_eq!(setting.pending().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_attempt_is_not_made_by_two_servers_on_sqlite() {
    a_slow_attempt_is_left_to_who_makes_it(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_attempt_is_not_made_by_two_servers_on_postgres() {
    a_slow_attempt_is_left_to_who_makes_it(true).await;
}
