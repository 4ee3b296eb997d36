//! Load for `bin/bench`: contacts in by the public API, signed deliveries out to receivers of its own, end to end over
//! loopback. Prints rows of a table in Markdown.

mod client;
mod malicious;
mod pace;
mod receiver;
mod spends;
mod unresponsive;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use client::{Api, What};
use pace::{paced, percentiles};
use receiver::Receiver;

/// How long the last deliveries of a run may take.
const DRAIN: Duration = Duration::from_mins(2);
/// What is not measured at the beginning: connections open, statements are prepared.
const WARM_UP: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Options {
    /// Host and port of the server.
    #[arg(long)]
    address: String,
    /// A key that may do everything; several, for `unresponsive` and `spends`, each of another workspace.
    #[arg(long, required = true)]
    key: Vec<String>,
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// As much as connections can bring in, and how many deliveries a second come of it.
    Sustained {
        what: What,
        seconds: u64,
        #[arg(default_value = "32")]
        connections: usize,
    },
    /// So much a second, and how long each takes from the request to the receiver.
    Paced { what: What, rate: u32, seconds: u64 },
    /// So many key checks a second, and how long each takes.
    Checks { rate: u32, seconds: u64 },
    /// As many spends of credits as connections can bring in, by one key or by several in turn.
    Spends { seconds: u64 },
    /// One endpoint alone, and then among 999 that are dead.
    Unresponsive { seconds: u64 },
    /// Receivers that mean harm, and what they cost the process of this id in memory.
    Malicious { pid: u32, seconds: u64 },
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let apis: Vec<Api> = options
        .key
        .into_iter()
        .map(|key| Api {
            address: options.address.clone(),
            key,
        })
        .collect();
    let api = &apis[0];
    match options.load {
        Load::Sustained {
            what,
            seconds,
            connections,
        } => sustained(api, what, Duration::from_secs(seconds), connections),
        Load::Paced {
            what,
            rate,
            seconds,
        } => {
            let receiver = Receiver::start(api)?;
            run(api, &receiver, what, rate, WARM_UP)?;
            let waits = run(api, &receiver, what, rate, Duration::from_secs(seconds))?;
            row(&format!("{}, {rate} a second", what.label()), waits);
            Ok(())
        }
        Load::Checks { rate, seconds } => checks(api, rate, Duration::from_secs(seconds)),
        Load::Spends { seconds } => spends::measure(&apis, Duration::from_secs(seconds)),
        Load::Unresponsive { seconds } => {
            unresponsive::measure(&apis, Duration::from_secs(seconds))
        }
        Load::Malicious { pid, seconds } => {
            malicious::measure(api, pid, Duration::from_secs(seconds))
        }
    }
}

fn row(name: &str, waits: Vec<Duration>) {
    let (middle, late) = percentiles(waits);
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("| {name} | {:.2} ms | {:.2} ms |", ms(middle), ms(late));
}

/// Goes on at a fixed rate after what has arrived, and says how long each took from when its request was due until its
/// event was received.
fn run(
    api: &Api,
    receiver: &Receiver,
    what: What,
    rate: u32,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let first = receiver.count();
    let due = Mutex::new(Vec::new());
    let sent = paced(
        rate,
        time,
        || api.connect(),
        |connection, number, at| {
            due.lock()
                .expect("no thread panics")
                .push((first + number, at));
            connection.ask(&api.bring(what, first + number)).map(|_| ())
        },
    )?;
    receiver.wait_for(first + sent, DRAIN)?;
    let due = due.into_inner().expect("no thread panics");
    let waits = due.into_iter().filter_map(|(number, due)| {
        let arrived = receiver.arrival(number)?;
        Some(arrived.saturating_duration_since(due))
    });
    Ok(waits.collect())
}

fn sustained(api: &Api, what: What, time: Duration, connections: usize) -> anyhow::Result<()> {
    let receiver = Receiver::start(api)?;
    let next = AtomicUsize::new(0);
    let flood = |time: Duration| -> anyhow::Result<(f64, f64)> {
        let (begun, before) = (Instant::now(), receiver.count());
        std::thread::scope(|scope| {
            let client = || -> anyhow::Result<()> {
                let mut connection = api.connect()?;
                while begun.elapsed() < time {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    connection.ask(&api.bring(what, number))?;
                }
                Ok(())
            };
            let clients: Vec<_> = (0..connections).map(|_| scope.spawn(client)).collect();
            clients
                .into_iter()
                .try_for_each(|client| client.join().expect("no thread panics"))
        })?;
        let taken = next.load(Ordering::Relaxed) - before;
        let took = begun.elapsed();
        // What waits at the end counts too: the rate is that of the slower side.
        receiver.wait_for(before + taken, DRAIN)?;
        let rate = |time: Duration| {
            f64::from(u32::try_from(taken).unwrap_or(u32::MAX)) / time.as_secs_f64()
        };
        Ok((rate(took), rate(begun.elapsed())))
    };
    flood(WARM_UP)?;
    let (taken, delivered) = flood(time)?;
    println!("| {} | {taken:.0} | {delivered:.0} |", what.label());
    Ok(())
}

fn checks(api: &Api, rate: u32, time: Duration) -> anyhow::Result<()> {
    let question = format!(r#"{{"key":"{}","scope":"contacts:read"}}"#, api.key);
    for (name, request) in [
        ("GET /me", api.request("GET", "/me", "")),
        (
            "POST /keys/verify",
            api.request("POST", "/keys/verify", &question),
        ),
    ] {
        let waits = Mutex::new(Vec::new());
        let measure = |time| {
            paced(
                rate,
                time,
                || api.connect(),
                |connection, _, due: Instant| {
                    connection.ask(&request)?;
                    waits.lock().expect("no thread panics").push(due.elapsed());
                    Ok(())
                },
            )
        };
        measure(WARM_UP)?;
        waits.lock().expect("no thread panics").clear();
        measure(time)?;
        row(
            &format!("API: {name}, {rate} a second"),
            waits.into_inner().expect("no thread panics"),
        );
    }
    Ok(())
}
