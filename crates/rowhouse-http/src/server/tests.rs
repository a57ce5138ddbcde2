use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::{Server, serve};

#[tokio::test]
async fn draining_begins_although_every_place_is_taken_by_a_request_that_does_not_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (entered, mut entry) = mpsc::channel::<()>(1);
    let stuck = get(async move || {
        entered.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let (drain, draining) = watch::channel(false);
    let limits = Server {
        max_connections: 1,
        header_timeout: Duration::from_secs(30),
        drain_timeout: Duration::from_millis(50),
    };
    let serving = tokio::spawn(serve(listener, Router::new().route("/", stuck), limits, draining));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    entry.recv().await.unwrap();
    drain.send(true).unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(5), serving).await.expect("the drain has an end");
    assert_eq!(cut.unwrap(), 1);
}
