//! Starts localstripe, and asks it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use http_body_util::Full;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::{Fields, KEY};

/// localstripe, once for all tests of this process. It ends when its standard input does, with the process.
fn localstripe() -> &'static str {
    static RUNNING: OnceLock<(Mutex<Child>, String)> = OnceLock::new();
    let (_, base) = RUNNING.get_or_init(|| {
        let python = std::env::var("WHEELHOUSE_TEST_PYTHON")
            .expect("WHEELHOUSE_TEST_PYTHON names a Python with localstripe; bin/test sets it");
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run_localstripe.py");
        let mut child = Command::new(python)
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("localstripe starts");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let base = format!("http://127.0.0.1:{}", port.trim());
        (Mutex::new(child), base)
    });
    base
}

pub(super) async fn ask_localstripe(
    method: Method,
    path: &str,
    fields: &Fields,
) -> (StatusCode, Value) {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let text = serde_urlencoded::to_string(fields).unwrap();
    let (address, body) = if method == Method::POST {
        (format!("{}{path}", localstripe()), text)
    } else {
        (format!("{}{path}?{text}", localstripe()), String::new())
    };
    let request = Request::builder()
        .method(method)
        .uri(address)
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(body))
        .unwrap();
    // It may still be starting.
    let mut answer = client.request(request.clone()).await;
    for _ in 0..100 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = client.request(request.clone()).await;
    }
    let answer = answer.expect("localstripe answers");
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), usize::MAX)
        .await
        .unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}
