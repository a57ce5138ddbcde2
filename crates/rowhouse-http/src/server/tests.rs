use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, Request};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Drain, Peer, Protocol, Server, Stream, accept, draining, serve};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(5);

/// A running server.
struct Running {
    address: std::net::SocketAddr,
    drain: watch::Sender<bool>,
    serving: JoinHandle<usize>,
}

impl Running {
    async fn start(router: Router, limits: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, draining) = watch::channel(false);
        Self { address, drain, serving: tokio::spawn(serve(listener, router, limits, draining)) }
    }

    async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Drains; how many connections had not ended.
    async fn stop(self) -> usize {
        self.drain.send(true).unwrap();
        timeout(LIMIT, self.serving).await.expect("the drain has an end").unwrap()
    }
}

fn limits() -> Server {
    Server { max_connections: 8, header_timeout: SECOND, drain_timeout: SECOND / 2 }
}

fn hello() -> Router {
    Router::new().route("/", get(async |request: Request| format!("{:?}", request.version())))
}

async fn read_all(stream: &mut (impl Stream + ?Sized)) -> String {
    let mut text = Vec::new();
    let _reset = timeout(LIMIT, stream.read_to_end(&mut text)).await.expect("the connection ends");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn draining_begins_although_every_connection_is_held_by_an_endless_request() {
    let (entered, mut entry) = mpsc::channel::<()>(1);
    let stuck = get(async move || {
        entered.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let limits = Server { max_connections: 1, drain_timeout: SECOND / 20, ..limits() };
    let server = Running::start(Router::new().route("/", stuck), limits).await;
    let mut client = server.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    entry.recv().await.unwrap();
    assert_eq!(server.stop().await, 1);
}

#[tokio::test]
async fn connection_beyond_the_limit_waits_until_another_ends() {
    let server = Running::start(hello(), Server { max_connections: 1, ..limits() }).await;
    let (mut first, mut answer) = (server.connect().await, [0; 12]);
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    timeout(LIMIT, first.read_exact(&mut answer)).await.unwrap().unwrap();
    let mut second = server.connect().await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(timeout(SECOND / 5, second.read_exact(&mut answer)).await.is_err(), "there is one place");
    drop(first);
    assert!(read_all(&mut second).await.contains("HTTP/1.1"));
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served() {
    let server = Running::start(hello(), limits()).await;
    let io = hyper_util::rt::TokioIo::new(server.connect().await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let client = tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::builder().uri("http://x/").body(Empty::<bytes::Bytes>::new()).unwrap();
        let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "HTTP/2.0");
    }
    assert_eq!(server.stop().await, 0);
    timeout(LIMIT, client).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn client_with_a_slow_request_head_is_disconnected() {
    let server = Running::start(hello(), Server { header_timeout: SECOND / 10, ..limits() }).await;
    for sent in ["", "P", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut client = server.connect().await;
        client.write_all(sent.as_bytes()).await.unwrap();
        let answer = read_all(&mut client).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{sent:?}: {answer}");
    }
}

#[tokio::test]
async fn unix_socket_is_served_too() {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
    let (_drain, draining) = watch::channel(false);
    tokio::spawn(serve(listener, hello(), limits(), draining));
    let mut client = UnixStream::connect(folder.path().join("socket")).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(&mut client).await.ends_with("HTTP/1.1"));
}

/// A line protocol that answers "ok" to each line.
#[derive(Clone)]
struct Lines;

impl Protocol for Lines {
    async fn serve<S: Stream>(self, mut stream: S, _: Peer, mut drain: Drain) {
        let mut line = [0; 64];
        loop {
            tokio::select! {
                read = stream.read(&mut line) => match read {
                    Ok(1..) => stream.write_all(b"ok\n").await.unwrap(),
                    _ => return,
                },
                () = draining(&mut drain) => return stream.write_all(b"bye\n").await.unwrap(),
            }
        }
    }
}

#[tokio::test]
async fn other_protocols_share_the_accept_loop() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (drain, draining) = watch::channel(false);
    let serving = tokio::spawn(accept(listener, Lines, limits(), draining));
    client.write_all(b"hello\n").await.unwrap();
    let mut ok = [0; 3];
    client.read_exact(&mut ok).await.unwrap();
    drain.send(true).unwrap();
    assert_eq!(read_all(&mut client).await, "bye\n");
    assert_eq!(serving.await.unwrap(), 0);
}

mod early {
    use super::*;

    static HANDLED: AtomicUsize = AtomicUsize::new(0);

    fn router() -> Router {
        Router::new()
            .route("/refused", post(async || (http::StatusCode::UNAUTHORIZED, "refused")))
            .route("/head", post(async |_: Request| "head").layer(axum::extract::DefaultBodyLimit::max(10)))
            .route("/small", post(async |_: String| "small").layer(axum::extract::DefaultBodyLimit::max(10)))
            .route("/live", get(async || HANDLED.fetch_add(1, Ordering::Relaxed).to_string()))
    }

    /// Sends head and body in several writes and then, if the connection is still open, another request.
    async fn ask(server: &Running, path: &str, length: usize, expect: &str) -> (String, bool) {
        let mut client = server.connect().await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{expect}\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        for piece in vec![b'y'; if expect.is_empty() { length } else { 0 }].chunks(4000) {
            tokio::task::yield_now().await;
            client.write_all(piece).await.expect("the connection takes the whole body");
        }
        let mut answer = vec![0; 4096];
        let count = timeout(LIMIT, client.read(&mut answer)).await.unwrap().expect("the answer arrives");
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        if answer.contains("connection: close") {
            return (answer, false);
        }
        client.write_all(b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        (answer, read_all(&mut client).await.starts_with("HTTP/1.1 200"))
    }

    #[tokio::test]
    async fn short_unread_body_leaves_the_connection_usable() {
        let server = Running::start(router(), limits()).await;
        for path in ["/refused", "/nope", "/head", "/small", "/live"] {
            let (answer, usable) = ask(&server, path, 40_000, "").await;
            assert!(usable, "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn long_unread_body_closes_the_connection_after_the_answer() {
        let server = Running::start(router(), limits()).await;
        for path in ["/refused", "/nope", "/small"] {
            let (answer, _) = ask(&server, path, 2_000_000, "").await;
            assert!(answer.contains("connection: close"), "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn expect_continue_is_not_answered_for_a_body_that_is_not_read() {
        let server = Running::start(router(), limits()).await;
        let (answer, _) = ask(&server, "/refused", 40_000, "expect: 100-continue\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
    }
}

mod upgraded {
    use super::*;

    async fn echo(upgrade: WebSocketUpgrade, Extension(drain): Extension<Drain>) -> Response {
        upgrade.on_upgrade(async |socket| talk(socket, drain).await)
    }

    /// Echoes messages until the server drains.
    async fn talk(mut socket: WebSocket, mut drain: Drain) {
        loop {
            let message = tokio::select! {
                message = socket.recv() => message,
                () = draining(&mut drain) => break,
            };
            let Some(Ok(Message::Text(text))) = message else { return };
            socket.send(Message::Text(text)).await.unwrap();
        }
        let _gone = socket.send(Message::Close(None)).await;
    }

    async fn deaf(upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(async |mut socket| while let Some(Ok(_)) = socket.recv().await {})
    }

    type Client = tokio_tungstenite::WebSocketStream<TcpStream>;

    async fn connected(path: &str) -> (Running, Client) {
        let router = Router::new().route("/echo", get(echo)).route("/deaf", get(deaf));
        let server = Running::start(router, limits()).await;
        let stream = server.connect().await;
        let (client, _) = tokio_tungstenite::client_async(format!("ws://x{path}"), stream).await.unwrap();
        (server, client)
    }

    #[tokio::test]
    async fn websocket_is_served_and_ends_with_the_drain() {
        let (server, mut client) = connected("/echo").await;
        client.send("hello".into()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "hello");
        let closing = tokio::spawn(async move { while let Some(Ok(_)) = client.next().await {} });
        assert_eq!(server.stop().await, 0);
        timeout(LIMIT, closing).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn websocket_that_stays_open_is_counted_when_the_drain_ends() {
        let (server, _client) = connected("/deaf").await;
        assert_eq!(server.stop().await, 1);
    }
}
