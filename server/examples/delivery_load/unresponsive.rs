//! One endpoint that answers, alone and then among 999 that do not: half of them refuse the connection, half take it and
//! say nothing.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::ensure;

use crate::client::{Api, What};
use crate::pace::paced;
use crate::receiver::Receiver;
use crate::{WARM_UP, row, run};

const DEAD: usize = 999;
/// Contacts a second in the workspace of the one that answers.
const RATE: u32 = 20;
/// Contacts a second in the other workspaces, each of which becomes a delivery for every webhook there, a hundred.
const RATE_OF_OTHERS: u32 = 2;
/// A port of loopback at which nobody listens.
const REFUSING: &str = "http://127.0.0.1:1/";

pub fn measure(apis: &[Api], time: Duration) -> anyhow::Result<()> {
    let (api, others) = (&apis[0], &apis[1..]);
    ensure!(
        others.len() * 100 >= DEAD,
        "a workspace has a hundred webhooks, so ten more keys are needed"
    );
    let alive = Receiver::start(api)?;
    run(api, &alive, What::Contacts, RATE, WARM_UP)?;
    let alone = run(api, &alive, What::Contacts, RATE, time)?;
    row("alone", alone);

    let hanging = hanging()?;
    for number in 0..DEAD {
        let url = if number % 2 == 0 { REFUSING } else { &hanging };
        others[number % others.len()].hook(url)?;
    }
    let among = std::thread::scope(|scope| {
        let noise = scope.spawn(|| {
            // On a new connection each: one that is asked so seldom is closed by the server in between.
            paced(
                RATE_OF_OTHERS,
                time,
                || Ok(()),
                |(), number, _| {
                    let api = &others[number % others.len()];
                    let request = api.bring(What::Contacts, number);
                    api.connect()?.ask(&request).map(|_| ())
                },
            )
        });
        let among = run(api, &alive, What::Contacts, RATE, time)?;
        noise.join().expect("no thread panics")?;
        Ok::<_, anyhow::Error>(among)
    })?;
    row(&format!("among {DEAD} that are dead"), among);
    Ok(())
}

/// Takes every connection, keeps it, and never says a word.
fn hanging() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            held.push(stream);
        }
    });
    Ok(url)
}
