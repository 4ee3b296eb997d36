//! A client of the public API that costs as little as it can: it shares the machine with what it measures.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is brought in by the API, and becomes a delivery.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum What {
    /// `POST /contacts`.
    Contacts,
    /// `POST /events`.
    Events,
}

impl What {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Contacts => "contacts in, deliveries out",
            Self::Events => "events in, deliveries out",
        }
    }
}

/// Where the API is and by which key it is asked.
#[derive(Clone)]
pub struct Api {
    /// Host and port.
    pub address: String,
    pub key: String,
}

/// One connection that is kept open.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Api {
    pub fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.address)
    }

    /// A request as it travels.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            self.key,
            body.len()
        )
        .into_bytes()
    }

    /// Makes a webhook for what is brought in, and gives the signing secret.
    pub fn hook(&self, url: &str) -> anyhow::Result<String> {
        let body = serde_json::json!({"url": url, "event_types": ["contact.created", "automation.completed"]});
        let request = self.request("POST", "/webhooks", &body.to_string());
        let answer = self.connect()?.ask(&request)?;
        let made: Value = serde_json::from_slice(&answer)?;
        let secret = made["secret"].as_str().context("a webhook has a secret")?;
        Ok(secret.to_owned())
    }

    /// The request that brings in what has this number; its event carries the number to the receiver.
    pub fn bring(&self, what: What, number: usize) -> Vec<u8> {
        let (path, body) = match what {
            What::Contacts => (
                "/contacts",
                format!(r#"{{"name":"Number {number}","email":"number.{number}@acme.example"}}"#),
            ),
            What::Events => (
                "/events",
                format!(r#"{{"type":"automation.completed","data":{{"name":"Number {number}"}}}}"#),
            ),
        };
        self.request("POST", path, &body)
    }
}

impl Connection {
    pub fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(8 * 1024),
        })
    }

    /// Sends a request and waits for the whole of its answer, which must be a success.
    pub fn ask(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.stream.write_all(request)?;
        let (head, body) = read(&mut self.stream, &mut self.buffer)?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        let answer = String::from_utf8_lossy(&body);
        ensure!(status.starts_with('2'), "{status}: {answer}");
        Ok(body)
    }
}

/// Reads one HTTP/1.1 message whose length is told, and leaves in the buffer what came after it. An end of the stream
/// before it is an error of the kind `UnexpectedEof`.
pub fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<(String, Vec<u8>)> {
    let mut chunk = [0; 16 * 1024];
    let mut more = |buffer: &mut Vec<u8>| match stream.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            buffer.extend_from_slice(&chunk[..count]);
            Ok::<_, io::Error>(())
        }
    };
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(buffer)?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let length = field(&head, "content-length").and_then(|text| text.parse().ok());
    let whole = end + 4 + length.unwrap_or(0);
    while buffer.len() < whole {
        more(buffer)?;
    }
    let body = buffer[end + 4..whole].to_vec();
    buffer.drain(..whole);
    Ok((head, body))
}

/// The value of a header, by its name in small letters.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
