//! Streaming of bodies from the database to a client that may be slow or gone.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rowhouse_db::flight::Pieces;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;

/// Pieces buffered ahead of the client.
const AHEAD: usize = 4;

/// A message to the client; a stream that closes without `End` was cut off.
enum Message {
    Piece(Bytes),
    End,
}

/// How a stream ended; the label of `rest_streams_total`.
#[derive(Debug, Clone, Copy)]
enum StreamEnd {
    Done,
    /// The database failed.
    Failed,
    /// The client has read nothing for too long.
    Stalled,
    /// The client has closed the connection.
    Left,
}

/// A body of `first` and the pieces. If the client reads nothing for `stall`, or disconnects, the query is cancelled
/// and the connection closed without the body's end, so that a part is not mistaken for the whole.
pub(crate) fn body(first: Bytes, pieces: Pieces, stall: Duration) -> Body {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let pump = async move {
        let outcome = pump(pieces, &sender, stall).await;
        metrics::counter!("rest_streams_total", "outcome" => outcome.name()).increment(1);
        if !matches!(outcome, StreamEnd::Done) {
            tracing::warn!(outcome = outcome.name(), "a streamed answer was cut");
        }
    };
    tokio::spawn(pump.in_current_span());
    let rest = stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Message::Piece(piece)) => Some((Ok(piece), Some(receiver))),
            Some(Message::End) => None,
            None => Some((Err(io::Error::other("the stream was cut")), None)),
        }
    });
    Body::from_stream(stream::iter((!first.is_empty()).then_some(Ok(first))).chain(rest))
}

async fn pump(mut pieces: Pieces, sender: &mpsc::Sender<Message>, stall: Duration) -> StreamEnd {
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = sender.closed() => return StreamEnd::Left,
        };
        let (message, is_end) = match piece {
            Ok(Some(piece)) => (Message::Piece(piece), false),
            Ok(None) => (Message::End, true),
            Err(error) => {
                tracing::warn!(%error, "the database failed in the middle of an answer");
                return StreamEnd::Failed;
            }
        };
        match timeout(stall, sender.send(message)).await {
            Ok(Ok(())) if is_end => return StreamEnd::Done,
            Ok(Ok(())) => {}
            Ok(Err(_)) => return StreamEnd::Left,
            Err(_) => return StreamEnd::Stalled,
        }
    }
}

impl StreamEnd {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stalled => "stalled",
            Self::Left => "left",
        }
    }
}
