//! The other side of requests that the program sends: a bare HTTP server, which says whatever a test wants.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::LIMIT;

/// An answer that is none: the connection is held open and nothing is said.
pub const SILENCE: &str = "\0";

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Request line and headers.
    pub head: String,
    /// As long as `content-length` says; empty without it.
    pub body: String,
}

impl Received {
    /// The header's value; empty without one.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).unwrap_or_default()
    }
}

/// Listens on loopback until the runtime ends.
#[derive(Debug)]
pub struct Receiver {
    /// The port.
    pub port: u16,
    received: UnboundedReceiver<Received>,
}

impl Receiver {
    /// Answers the requests one after another with the given raw answers; the last one is repeated.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start(answers: &[&str]) -> Self {
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (tell, received) = unbounded_channel();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            for place in 0_usize.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let Some(request) = read(&mut stream).await else { continue };
                let _ended = tell.send(request);
                let answer = &answers[place.min(answers.len() - 1)];
                if answer == SILENCE {
                    silent.push(stream);
                    continue;
                }
                // A client that has read enough leaves.
                let _left = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, received }
    }

    /// As [`Receiver::start`], with nothing but statuses.
    pub async fn with_statuses(statuses: &[u16]) -> Self {
        let answer =
            |status| format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let answers: Vec<String> = statuses.iter().map(answer).collect();
        Self::start(&answers.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// The next request.
    ///
    /// # Panics
    /// If none comes within [`LIMIT`].
    pub async fn next(&mut self) -> Received {
        timeout(LIMIT, self.received.recv()).await.expect("a request in time").expect("the server lives")
    }

    /// What has come in and was not asked for yet.
    pub fn take(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }
}

/// Nothing if the client leaves before the end.
async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        text.extend_from_slice(&piece[..count]);
        let so_far = String::from_utf8_lossy(&text);
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let request = Received { head: head.to_owned(), body: body.to_owned() };
        let length = request.header("content-length");
        if length.parse() == Ok(body.len()) || (length.is_empty() && body.is_empty()) {
            return Some(request);
        }
    }
    None
}
