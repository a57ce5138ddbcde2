//! Compressing, on a thread of its own.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind, Write};

use rowhouse_crypto::Digester;
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::{Message, Piece};
use crate::export::{Stamp, Subject};

/// Of the form of an archive.
const VERSION: u32 = 1;

/// A file of the archive, as the manifest lists it.
#[derive(Debug, Serialize)]
struct Listed {
    table: String,
    file: String,
    rows: u64,
    bytes: u64,
    sha256: String,
}

/// The file that is being written.
struct Open {
    table: String,
    file: String,
    rows: u64,
    bytes: u64,
    digester: Digester,
}

struct Archive {
    zip: ZipWriter<BufWriter<File>>,
    options: SimpleFileOptions,
    open: Option<Open>,
    listed: Vec<Listed>,
    /// Bytes of lines that may still come.
    room: u64,
}

/// Writes what comes until the end; the file, and how many rows it has.
pub(super) fn pack(
    mut messages: mpsc::Receiver<Message>,
    (subject, stamp): (Subject, &Stamp),
    file: File,
    most_bytes: u64,
) -> Result<(File, u64), Error> {
    let mut archive = Archive::new(file, stamp.at, most_bytes);
    loop {
        match messages.blocking_recv() {
            Some(Message::Piece(piece)) => archive.add(&piece)?,
            Some(Message::End) => return archive.finish(subject, stamp),
            None => return Err(Error::other("the rows ended early")),
        }
    }
}

impl Archive {
    fn new(file: File, at: OffsetDateTime, room: u64) -> Self {
        // More than 4 GiB of a table need the longer form of its entry, which has to be chosen before.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(time_of(at))
            .unix_permissions(0o600)
            .large_file(true);
        Self { zip: ZipWriter::new(BufWriter::new(file)), options, open: None, listed: Vec::new(), room }
    }

    fn add(&mut self, piece: &Piece) -> Result<(), Error> {
        let bytes = piece.lines.len() as u64;
        self.room = self.room.checked_sub(bytes).ok_or(ErrorKind::FileTooLarge)?;
        if piece.rows == 0 {
            return Ok(());
        }
        if self.open.as_ref().is_none_or(|open| open.table != piece.table) {
            self.close();
            let file = file_of(&piece.table);
            self.zip.start_file(file.as_str(), self.options)?;
            let (table, digester) = (piece.table.clone(), Digester::default());
            self.open = Some(Open { table, file, rows: 0, bytes: 0, digester });
        }
        if let Some(open) = &mut self.open {
            open.digester.update(piece.lines.as_bytes());
            open.rows += piece.rows;
            open.bytes += bytes;
        }
        self.zip.write_all(piece.lines.as_bytes())
    }

    fn close(&mut self) {
        let closed = self.open.take().map(|open| Listed {
            table: open.table,
            file: open.file,
            rows: open.rows,
            bytes: open.bytes,
            sha256: open.digester.hex(),
        });
        self.listed.extend(closed);
    }

    fn finish(mut self, subject: Subject, stamp: &Stamp) -> Result<(File, u64), Error> {
        self.close();
        let rows = self.listed.iter().map(|listed| listed.rows).sum();
        let manifest = json!({
            "export": subject.what,
            "id": subject.id,
            "version": VERSION,
            "exported_at": stamp.at.format(&Rfc3339).unwrap_or_default(),
            "exported_by": stamp.by,
            "impersonator": stamp.impersonator,
            "product": { "name": "rowhouse", "version": env!("CARGO_PKG_VERSION") },
            "rows": rows,
            "files": self.listed,
        });
        self.zip.start_file("manifest.json", self.options)?;
        serde_json::to_writer_pretty(&mut self.zip, &manifest)?;
        let file = self.zip.finish()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok((file, rows))
    }
}

/// As archives have it: without a zone, and from 1980 on.
fn time_of(at: OffsetDateTime) -> DateTime {
    let (date, (hour, minute, second)) = (at.date(), at.to_hms());
    let year = u16::try_from(date.year()).unwrap_or_default();
    DateTime::from_date_and_time(year, date.month().into(), date.day(), hour, minute, second)
        .unwrap_or_default()
}

/// Where the lines of a table are. A project's table may have any name, and a name in an archive is a path: all but letters,
/// digits, `_`, `-` and `.` is written as in a URL.
fn file_of(table: &str) -> String {
    let name = table.bytes().fold(String::with_capacity(table.len()), |mut name, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => name.push(char::from(byte)),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
        name
    });
    format!("tables/{name}.ndjson")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_table_never_leaves_the_folder() {
        assert_eq!(file_of("public.todos"), "tables/public.todos.ndjson");
        assert_eq!(file_of("public.\"../../etc/x\""), "tables/public.%22..%2F..%2Fetc%2Fx%22.ndjson");
        assert_ne!(file_of("public.\"a%2Fb\""), file_of("public.\"a/b\""));
    }

    #[test]
    fn more_than_is_allowed_is_refused_and_an_early_end_makes_no_archive() {
        let stamp = Stamp { by: "system".to_owned(), impersonator: None, at: OffsetDateTime::UNIX_EPOCH };
        let subject = Subject { what: "user", id: uuid::Uuid::nil(), function: "f" };
        let packed = |messages: Vec<Message>, most| {
            let (sender, receiver) = mpsc::channel(10);
            messages.into_iter().for_each(|message| assert!(sender.try_send(message).is_ok()));
            drop(sender);
            pack(receiver, (subject, &stamp), tempfile::tempfile().unwrap(), most).map(|(_, rows)| rows)
        };
        let piece = || {
            Message::Piece(Piece { table: "public.todos".to_owned(), lines: "{}\n{}\n".to_owned(), rows: 2 })
        };
        assert_eq!(packed(vec![piece(), piece(), Message::End], 12).unwrap(), 4);
        assert_eq!(packed(vec![piece(), piece()], 12).unwrap_err().kind(), ErrorKind::Other);
        let most = packed(vec![piece(), piece(), Message::End], 11).unwrap_err();
        assert_eq!(most.kind(), ErrorKind::FileTooLarge);
    }
}
