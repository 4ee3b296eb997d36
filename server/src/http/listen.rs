//! Connections: how many, how slow they can be, and how they end. axum's own loop sets no limits.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::metrics::InFlightGauge;

/// Limits on connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// How many can be open at a time; further ones wait in the system's queue.
    pub connections: usize,
    /// How long the head of a request can take, from when a request could begin: it also ends idle connections.
    pub header_timeout: Duration,
    /// How long requests in progress can take after the signal to stop.
    pub grace: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(20),
        }
    }
}

/// The largest request head: our cookies and URLs are far smaller.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// How long to wait when the system refuses new connections, for example without free file descriptors.
const ACCEPT_ERROR_DELAY: Duration = Duration::from_secs(1);

/// Serves connections until `stop`. Then it closes idle ones, finishes requests in progress, and cuts off any that do
/// not finish in time.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    open: InFlightGauge,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let next = async {
            let place = room.clone().acquire_owned().await.ok()?;
            Some((place, accept(&listener).await))
        };
        let (place, (stream, peer)) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => match next {
                Some(next) => next,
                None => break,
            },
        };
        let attend = serve_connection(
            stream,
            peer,
            router.clone(),
            limits.header_timeout,
            stop.clone(),
        );
        let (cut, open) = (cut.clone(), open.enter());
        connections.spawn(async move {
            tokio::select! {
                () = attend => {}
                () = cut.cancelled() => {}
            }
            drop((place, open));
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.grace, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not finish in time");
        cut.cancel();
        connections.wait().await;
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client left before its connection was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_ERROR_DELAY).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    header_timeout: Duration,
    stop: CancellationToken,
) {
    // Live invalidations are a few bytes each and must not wait for more.
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let noted = asked.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        noted.store(true, Ordering::Relaxed);
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            // hyper closes a connection that is idle between requests, but considers one without any request busy.
            if !asked.load(Ordering::Relaxed) {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
