//! A receiver that checks every signature and notes what arrived when.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::ensure;
use domain::Secret;
use store::webhooks::signing;

use crate::client::{Api, field, read};

/// More than any run brings in.
const MAX_COUNT: usize = 1_000_000;

/// What arrived, by its number.
pub struct Receiver {
    pub url: String,
    started: Instant,
    secret: OnceLock<Secret>,
    /// Microseconds from the start until it arrived; nothing is 0.
    arrived: Vec<AtomicU64>,
    count: AtomicUsize,
    repeated: AtomicUsize,
    forged: AtomicUsize,
}

impl Receiver {
    /// Listens, and makes a webhook that sends here.
    pub fn start(api: &Api) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let receiver = Arc::new(Self {
            url: format!("http://{}/", listener.local_addr()?),
            started: Instant::now(),
            secret: OnceLock::new(),
            arrived: (0..MAX_COUNT).map(|_| AtomicU64::new(0)).collect(),
            count: AtomicUsize::new(0),
            repeated: AtomicUsize::new(0),
            forged: AtomicUsize::new(0),
        });
        let secret = api.hook(&receiver.url)?;
        let _ = receiver.secret.set(Secret::from(secret));
        let listening = receiver.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let receiver = listening.clone();
                std::thread::spawn(move || receiver.serve(stream));
            }
        });
        Ok(receiver)
    }

    /// Until the other side closes.
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        while let Ok((head, body)) = read(&mut stream, &mut buffer) {
            self.take(&head, &String::from_utf8_lossy(&body));
            if stream
                .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .is_err()
            {
                return;
            }
        }
    }

    fn take(&self, head: &str, body: &str) {
        let now = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if !self.is_genuine(head, body) {
            self.forged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let number = body.split_once(r#""name":"Number "#).and_then(|(_, rest)| {
            let digits = rest.split('"').next()?;
            digits.parse::<usize>().ok()
        });
        let Some(slot) = number.and_then(|number| self.arrived.get(number)) else {
            return;
        };
        if slot.swap(now.max(1), Ordering::Relaxed) == 0 {
            self.count.fetch_add(1, Ordering::Relaxed);
        } else {
            self.repeated.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_genuine(&self, head: &str, body: &str) -> bool {
        let signed = || {
            let id = field(head, "webhook-id")?.parse().ok()?;
            let seconds = field(head, "webhook-timestamp")?.parse().ok()?;
            let expected = signing::sign(self.secret.get()?, id, seconds, body)?;
            Some(field(head, "webhook-signature")? == expected)
        };
        signed().unwrap_or(false)
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// When it arrived.
    pub fn arrival(&self, number: usize) -> Option<Instant> {
        match self.arrived.get(number)?.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(self.started + Duration::from_micros(micros)),
        }
    }

    /// Waits until so many have arrived, and makes sure that each came once and was signed.
    pub fn wait_for(&self, count: usize, within: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.count() < count {
            ensure!(
                begun.elapsed() < within,
                "{} of {count} arrived",
                self.count()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let of = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        ensure!(of(&self.forged) == 0, "{} were forged", of(&self.forged));
        ensure!(of(&self.repeated) == 0, "{} came twice", of(&self.repeated));
        Ok(())
    }
}
