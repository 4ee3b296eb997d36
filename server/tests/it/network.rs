//! What only shows over a real connection: who dawdles, who stays, and how it ends.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wheelhouse::http::listen::{self, ConnectionLimits};
use wheelhouse::http::with_request_checks;

use crate::support::{Kind, Server};

/// The router behind a port of its own.
struct Port {
    addr: std::net::SocketAddr,
    server: Server,
    serving: JoinHandle<()>,
}

async fn open(limits: ConnectionLimits) -> Port {
    let server = Server::new(Kind::Sqlite).await;
    let router = server.router.clone();
    listen_with(server, router, limits).await
}

async fn listen_with(server: Server, router: Router, limits: ConnectionLimits) -> Port {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let open = server.state.metrics.connections().clone();
    let stop = server.state.stop.clone();
    Port {
        addr,
        server,
        serving: tokio::spawn(listen::serve(listener, router, limits, open, stop)),
    }
}

impl Port {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn ask(&self, stream: &mut TcpStream, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.addr);
        stream.write_all(request.as_bytes()).await.unwrap();
        some(stream).await
    }
}

/// What comes next.
async fn some(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer));
    let count = read.await.expect("an answer in time").unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

/// Whether the other side has hung up, within a while.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut rest));
    end.await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_never_finishes_asking_is_cut_off() {
    let port = open(ConnectionLimits {
        header_timeout: Duration::from_millis(300),
        ..ConnectionLimits::default()
    })
    .await;
    let mut slow = port.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    let began = Instant::now();
    assert!(is_closed(&mut slow).await);
    assert!(began.elapsed() < Duration::from_secs(2));
    let mut silent = port.connect().await;
    assert!(is_closed(&mut silent).await, "one who says nothing, too");
    let mut quick = port.connect().await;
    assert!(port.ask(&mut quick, "/healthz").await.ends_with("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_places_are_taken_the_next_one_waits() {
    let port = open(ConnectionLimits {
        connections: 2,
        ..ConnectionLimits::default()
    })
    .await;
    let (mut one, mut two) = (port.connect().await, port.connect().await);
    port.ask(&mut one, "/healthz").await;
    port.ask(&mut two, "/healthz").await;
    assert_eq!(port.server.state.metrics.connections().read(), 2);
    let mut third = port.connect().await;
    third
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let early = tokio::time::timeout(Duration::from_millis(200), some(&mut third)).await;
    assert!(early.is_err(), "it is not answered yet");
    drop(one);
    assert!(some(&mut third).await.ends_with("ok"), "now there is room");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_quick_with_open_pages_and_idle_connections() {
    let port = open(ConnectionLimits::default()).await;
    let mut live = port.connect().await;
    let request = format!(
        "GET /live HTTP/1.1\r\nHost: x\r\nCookie: wheelhouse_session={}\r\n\r\n",
        port.server.cookies["mia"].expose()
    );
    live.write_all(request.as_bytes()).await.unwrap();
    assert!(some(&mut live).await.starts_with("HTTP/1.1 200"));
    let mut idle = port.connect().await;
    port.ask(&mut idle, "/healthz").await;
    let mut fresh = port.connect().await;
    // So that it is accepted before the end begins.
    while port.server.state.metrics.connections().read() < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let began = Instant::now();
    port.server.state.stop.cancel();
    tokio::time::timeout(Duration::from_secs(3), port.serving)
        .await
        .expect("nothing holds it up")
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    for stream in [&mut live, &mut idle, &mut fresh] {
        assert!(is_closed(stream).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_but_not_waited_for_without_end() {
    let server = Server::new(Kind::Sqlite).await;
    let slow = async |seconds: u64| {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        "done"
    };
    let router = with_request_checks(
        Router::new()
            .route("/short", get(move || slow(1)))
            .route("/endless", get(move || slow(25))),
        server.state.clone(),
    );
    let limits = ConnectionLimits {
        grace: Duration::from_secs(2),
        ..ConnectionLimits::default()
    };
    let port = listen_with(server, router, limits).await;
    let (mut short, mut endless) = (port.connect().await, port.connect().await);
    for (stream, path) in [(&mut short, "/short"), (&mut endless, "/endless")] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    port.server.state.stop.cancel();
    assert!(some(&mut short).await.ends_with("done"));
    tokio::time::timeout(Duration::from_secs(4), port.serving)
        .await
        .expect("the grace is over")
        .unwrap();
    assert!(is_closed(&mut endless).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_answer_and_not_the_end() {
    let server = Server::new(Kind::Sqlite).await;
    let stumble = async || -> &'static str { panic!("a handler stumbles") };
    let router = with_request_checks(
        Router::new()
            .route("/stumble", get(stumble))
            .route("/steady", get(async || "steady")),
        server.state.clone(),
    );
    let port = listen_with(server, router, ConnectionLimits::default()).await;
    let mut stream = port.connect().await;
    let answer = port.ask(&mut stream, "/stumble").await;
    assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    assert!(!answer.contains("a handler stumbles"), "nobody is told why");
    let answer = port.ask(&mut stream, "/steady").await;
    assert!(answer.ends_with("steady"), "over the same connection");
}
