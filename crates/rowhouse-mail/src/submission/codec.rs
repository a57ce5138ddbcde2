//! The codec of a connection: strict lines and messages in, replies out. Replies to pipelined commands are sent
//! together, before the next read.

use std::time::Duration;

use bytes::BytesMut;
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::body::Body;
use super::reply::{self, Reply};

/// Longest line of a command; AUTH may need as many bytes (RFC 4954 section 4).
const LONGEST_LINE: usize = 12 * 1024;
const READ: usize = 16 * 1024;
/// How long the client may leave replies unread.
const UNREAD: Duration = Duration::from_secs(30);

/// Why a session ends early.
#[derive(Debug)]
pub(crate) enum Disconnect {
    /// After this final reply.
    With(Reply),
    /// The client has closed the connection.
    Gone,
}

impl From<std::io::Error> for Disconnect {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// A connection with its input and output buffers.
pub(crate) struct Codec<S> {
    stream: S,
    input: BytesMut,
    output: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Codec<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, input: BytesMut::new(), output: Vec::new() }
    }

    /// The next command, with its CR LF.
    pub(crate) async fn line(&mut self, deadline: Instant) -> Result<BytesMut, Disconnect> {
        loop {
            if let Some(end) = memchr(b'\n', &self.input[..self.input.len().min(LONGEST_LINE)]) {
                let line = self.input.split_to(end + 1);
                let ends_well = line.ends_with(b"\r\n") && memchr(b'\r', &line) == end.checked_sub(1);
                return if ends_well { Ok(line) } else { Err(Disconnect::With(reply::BARE_LINE_BREAK)) };
            }
            if self.input.len() >= LONGEST_LINE {
                return Err(Disconnect::With(reply::LINE_TOO_LONG));
            }
            self.fill(deadline).await?;
        }
    }

    /// The message that follows. Each read must come within `pause`, all of them until `deadline`.
    pub(crate) async fn message(
        &mut self,
        mut body: Body,
        pause: Duration,
        deadline: Instant,
    ) -> Result<Body, Disconnect> {
        loop {
            let (taken, is_complete) = body.feed(&self.input);
            let _message = self.input.split_to(taken);
            if is_complete {
                return Ok(body);
            }
            self.fill(deadline.min(Instant::now() + pause)).await?;
        }
    }

    pub(crate) fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.output);
    }

    pub(crate) fn say_lines(&mut self, lines: &str) {
        self.output.extend_from_slice(lines.as_bytes());
    }

    /// Whether the client has sent input that is not processed yet.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    pub(crate) async fn flush(&mut self) -> Result<(), Disconnect> {
        let writing = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        timeout_at(Instant::now() + UNREAD, writing).await.map_err(|_| Disconnect::Gone)??;
        self.output.clear();
        Ok(())
    }

    /// The underlying stream, for the TLS handshake.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }

    async fn fill(&mut self, deadline: Instant) -> Result<(), Disconnect> {
        if !self.output.is_empty() {
            self.flush().await?;
        }
        self.input.reserve(READ);
        match timeout_at(deadline, self.stream.read_buf(&mut self.input)).await {
            Err(_) => Err(Disconnect::With(reply::TOO_SLOW)),
            Ok(Ok(0)) | Ok(Err(_)) => Err(Disconnect::Gone),
            Ok(Ok(_)) => Ok(()),
        }
    }
}
