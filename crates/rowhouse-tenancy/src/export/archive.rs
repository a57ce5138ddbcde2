//! An export as an archive (ZIP): a file of lines for each table, and `manifest.json`, which names them with their rows and
//! digests. An archive without it is not whole.

mod pack;

use std::fs::File;
use std::io::Error;

use futures_util::TryStreamExt;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use self::pack::pack;
use super::{ExportError, Stamp, Subject};

/// Bytes of lines that are handed over at a time; a longer line is handed over alone.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait to be compressed.
const AHEAD: usize = 4;

/// From the database to the compressor.
enum Message {
    Piece(Piece),
    /// Without it the rows have ended early.
    End,
}

/// Lines of one table.
#[derive(Debug, Default)]
struct Piece {
    table: String,
    lines: String,
    rows: u64,
}

/// Writes the rows into a file, the tables by name; returns the file, and how many rows. They are of one moment, and some pieces
/// of them are in memory at a time. It refuses to write more than `most_bytes` of lines.
pub(super) async fn write(
    client: &Client,
    (subject, stamp): (Subject, Stamp),
    file: File,
    most_bytes: u64,
) -> Result<(File, u64), ExportError> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let packing = tokio::task::spawn_blocking(move || pack(receiver, (subject, &stamp), file, most_bytes));
    let read = read(client, subject, sender).await;
    let packed = packing.await.map_err(Error::other)?;
    // A packer that has failed ends the reading without an error; one whose rows ended early has none to tell.
    read?;
    Ok(packed?)
}

/// Hands the rows over; stops when nobody takes them any more.
async fn read(client: &Client, subject: Subject, sender: mpsc::Sender<Message>) -> Result<(), ExportError> {
    let sql = format!(
        "select e.r ->> 'table', e.r::text from {}($1) with ordinality as e (r, number)
         order by e.r ->> 'table' collate \"C\", e.number",
        subject.function
    );
    let rows = client.query_typed_raw(&sql, [(subject.id, Type::UUID)]).await?;
    let mut rows = std::pin::pin!(rows);
    let mut piece = Piece::default();
    while let Some(row) = rows.try_next().await? {
        let (table, line): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        if piece.table != table || piece.lines.len() + line.len() > PIECE_BYTES {
            let full = std::mem::replace(&mut piece, Piece { table: table.to_owned(), ..Piece::default() });
            if sender.send(Message::Piece(full)).await.is_err() {
                return Ok(());
            }
        }
        piece.lines.push_str(line);
        piece.lines.push('\n');
        piece.rows += 1;
    }
    if sender.send(Message::Piece(piece)).await.is_ok() {
        // A packer that is gone says why itself.
        let _taken = sender.send(Message::End).await;
    }
    Ok(())
}
