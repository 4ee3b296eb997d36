//! As many spends as connections can bring in: each takes credits under its workspace's lock, and is a line of its ledger.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::WARM_UP;
use crate::client::Api;
use crate::pace::percentiles;

const CONNECTIONS: usize = 16;

pub fn measure(apis: &[Api], time: Duration) -> anyhow::Result<()> {
    let requests: Vec<Vec<u8>> = apis
        .iter()
        .map(|api| api.request("POST", "/credits/spend", r#"{"feature":"suggest_reply"}"#))
        .collect();
    let next = AtomicUsize::new(0);
    let flood = |time: Duration| -> anyhow::Result<Vec<Duration>> {
        let waits = Mutex::new(Vec::new());
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let client = || -> anyhow::Result<()> {
                let mut connection = apis[0].connect()?;
                let mut own = Vec::new();
                while begun.elapsed() < time {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let asked = Instant::now();
                    connection.ask(&requests[number % requests.len()])?;
                    own.push(asked.elapsed());
                }
                waits.lock().expect("no thread panics").extend(own);
                Ok(())
            };
            let clients: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(client)).collect();
            clients
                .into_iter()
                .try_for_each(|client| client.join().expect("no thread panics"))
        })?;
        Ok(waits.into_inner().expect("no thread panics"))
    };
    flood(WARM_UP)?;
    let waits = flood(time)?;
    let rate = f64::from(u32::try_from(waits.len())?) / time.as_secs_f64();
    let (middle, late) = percentiles(waits);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let name = match apis.len() {
        1 => "one workspace".to_owned(),
        count => format!("{count} workspaces in turn"),
    };
    println!(
        "| spends, {name} | {rate:.0} | {:.2} ms | {:.2} ms |",
        ms(middle),
        ms(late)
    );
    Ok(())
}
