//! Where a command writes an export: on its output, or in a new file, which is whole or not there.

use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind};
use std::path::{Path, PathBuf};

use rowhouse_module::{CannotRun, CommandOutcome, counted};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio_postgres::Client;

use super::{ExportError, Stamp, Subject, archive, lines};

/// Where an export goes.
#[derive(Debug)]
pub enum Target {
    /// Lines of JSON on the command's output.
    Output,
    /// A file: an archive if its name ends in `.zip`, else lines of JSON.
    File(NewFile),
}

/// A file beside the one that is asked for, of mode 600; it gets that one's name when it is whole.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    draft: NamedTempFile,
}

impl Target {
    /// Opens the file, if one is given; nothing has its name yet.
    ///
    /// # Errors
    /// If there is such a file, or none can be written there.
    pub fn open(path: Option<&Path>) -> Result<Self, CannotRun> {
        let Some(path) = path else { return Ok(Self::Output) };
        if path.symlink_metadata().is_ok() {
            return Err(cannot_write(path, &ErrorKind::AlreadyExists.into()));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let draft = tempfile::Builder::new()
            .prefix(".rowhouse-export-")
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| cannot_write(path, &error))?;
        Ok(Self::File(NewFile { path: path.to_owned(), draft }))
    }

    /// Writes the export.
    ///
    /// # Errors
    /// The database's and the file's. Nothing is left of a file that is not whole.
    pub async fn write(
        self,
        client: &Client,
        subject: Subject,
        stamp: Stamp,
    ) -> Result<CommandOutcome, CannotRun> {
        let new = match self {
            Self::Output => {
                let written = lines::write(client, subject, &mut std::io::stdout()).await;
                written.map_err(|error| CannotRun::because(error.to_string()))?;
                return Ok(CommandOutcome::yes(Value::Null, ""));
            }
            Self::File(new) => new,
        };
        let rows = new.fill(client, subject, stamp).await.map_err(|error| match error {
            ExportError::Output(error) => cannot_write(&new.path, &error),
            ExportError::Db(error) => error.into(),
        })?;
        let path = new.keep()?;
        let text = format!("{} in {}", counted(rows, "row", "rows"), path.display());
        Ok(CommandOutcome::yes(json!({ "rows": rows, "file": path }), text))
    }
}

impl NewFile {
    async fn fill(&self, client: &Client, subject: Subject, stamp: Stamp) -> Result<u64, ExportError> {
        let file: File = self.draft.as_file().try_clone()?;
        if self.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            let (_, rows) = archive::write(client, (subject, stamp), file, u64::MAX).await?;
            return Ok(rows);
        }
        lines::write(client, subject, &mut BufWriter::new(file)).await
    }

    fn keep(self) -> Result<PathBuf, CannotRun> {
        let Self { path, draft } = self;
        draft.as_file().sync_all().map_err(|error| cannot_write(&path, &error))?;
        draft.persist_noclobber(&path).map_err(|error| cannot_write(&path, &error.error))?;
        Ok(path)
    }
}

fn cannot_write(path: &Path, error: &Error) -> CannotRun {
    let remedy = match error.kind() {
        ErrorKind::AlreadyExists => "; name another file",
        _ => "",
    };
    CannotRun::because(format!("cannot write {}: {error}{remedy}", path.display()))
}
