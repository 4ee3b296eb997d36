//! Connects to webhook endpoints. It connects only to an IP address that was checked after resolution. A name is
//! resolved once, so the checked IP address is the one that is dialed.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use store::webhooks::address::Policy;
use tokio::net::TcpStream;

/// How long one of several IP addresses can take to connect before the next is tried.
const CONNECT: Duration = Duration::from_secs(5);
/// How many IP addresses of a name are tried.
const MAX_ADDRESSES: usize = 4;

/// Resolves a name to IP addresses.
pub trait Resolve: Send + Sync {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>>;
}

/// The system resolver.
pub struct System;

impl Resolve for System {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    Unresolved,
    Refused,
    Unreachable(std::io::Error),
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unresolved => "the name could not be resolved",
            Self::Refused => "the address is private or reserved",
            Self::Unreachable(_) => "no connection",
        })
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) => Some(error),
            Self::Unresolved | Self::Refused => None,
        }
    }
}

/// Connects only to permitted IP addresses.
#[derive(Clone)]
pub struct PublicOnlyConnector {
    resolver: Arc<dyn Resolve>,
    policy: Policy,
}

impl PublicOnlyConnector {
    pub fn new(resolver: Arc<dyn Resolve>, policy: Policy) -> Self {
        Self { resolver, policy }
    }

    async fn connect(&self, uri: &Uri) -> Result<TcpStream, ConnectError> {
        let host = uri.host().ok_or(ConnectError::Unresolved)?;
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") {
                443
            } else {
                80
            });
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        let found = match literal.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => self
                .resolver
                .resolve(host, port)
                .await
                .map_err(|_| ConnectError::Unresolved)?,
        };
        if found.is_empty() {
            return Err(ConnectError::Unresolved);
        }
        let mut failure = ConnectError::Refused;
        let allowed = found
            .into_iter()
            .filter(|address| self.policy.permits(address.ip()));
        for address in allowed.take(MAX_ADDRESSES) {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failure = ConnectError::Unreachable(error),
                Err(_) => failure = ConnectError::Unreachable(std::io::ErrorKind::TimedOut.into()),
            }
        }
        Err(failure)
    }
}

impl tower::Service<Uri> for PublicOnlyConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}
