//! Receivers that mean harm, all at once, and what they cost the server in memory.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::client::{Api, What};
use crate::pace::paced;

/// Webhooks for each kind of harm, within the hundred that a workspace has.
const OF_EACH: usize = 16;
/// Contacts a second; each becomes a delivery for every webhook.
const RATE: u32 = 2;
const LOOK_EVERY: Duration = Duration::from_millis(50);

type Harm = fn(&mut TcpStream) -> std::io::Result<()>;

const HARMS: [Harm; 6] = [
    // Says nothing.
    |_| loop {
        std::thread::park();
    },
    // An answer of gigabytes, as fast as it is taken.
    |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")?;
        loop {
            stream.write_all(&[b'x'; 64 * 1024])?;
        }
    },
    // The same in pieces of unknown number, said to be compressed.
    |stream| {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        loop {
            stream.write_all(b"1000\r\n")?;
            stream.write_all(&[0x1f; 0x1000])?;
            stream.write_all(b"\r\n")?;
        }
    },
    // A head that never ends, as fast as it is taken.
    |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            stream.write_all(b"x: ")?;
            stream.write_all(&[b'y'; 8000])?;
            stream.write_all(b"\r\n")?;
        }
    },
    // A head, and a body, that come byte by byte.
    |stream| {
        for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain([b'y'; 1000].iter()) {
            stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    },
    |stream| {
        stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 20000\r\n\r\n")?;
        loop {
            stream.write_all(b"x")?;
            std::thread::sleep(Duration::from_millis(100));
        }
    },
];

pub fn measure(api: &Api, pid: u32, time: Duration) -> anyhow::Result<()> {
    let before = resident(pid)?;
    for harm in HARMS {
        let url = serve(harm)?;
        for _ in 0..OF_EACH {
            api.hook(&url)?;
        }
    }
    let over = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = before;
            while !over.load(Ordering::Relaxed) {
                most = most.max(resident(pid)?);
                std::thread::sleep(LOOK_EVERY);
            }
            Ok::<_, anyhow::Error>(most)
        });
        let begun = Instant::now();
        // On a new connection each: one that is asked so seldom is closed by the server in between.
        let made = paced(
            RATE,
            time,
            || Ok(()),
            |(), number, _| {
                let request = api.bring(What::Contacts, number);
                api.connect()?.ask(&request).map(|_| ())
            },
        );
        std::thread::sleep(time.saturating_sub(begun.elapsed()));
        over.store(true, Ordering::Relaxed);
        made?;
        watch.join().expect("no thread panics")
    })?;
    println!(
        "| {} hostile receivers | {before:.1} MB | {most:.1} MB | {:.1} MB |",
        HARMS.len() * OF_EACH,
        most - before
    );
    Ok(())
}

fn serve(harm: Harm) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                // An error is the server's hanging up, as it should.
                let _ = harm(&mut stream);
            });
        }
    });
    Ok(url)
}

/// What the process holds in memory, in megabytes.
fn resident(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes.context("the process is there")?.parse()?;
    Ok(kilobytes / 1024.0)
}
