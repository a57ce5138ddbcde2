//! The list of erased users in a file beside the database, which a restored backup does not have: one line of JSON each, only
//! ever appended to.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rowhouse_module::CannotRun;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Name of the file among the project's private ones.
pub(super) const NAME: &str = "erasures.ndjson";

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Erased {
    pub(super) user_id: Uuid,
    pub(super) reason: String,
    /// As in RFC 3339.
    pub(super) requested_at: String,
}

/// Appends a line and waits until it is on the disk.
pub(super) fn append(path: &Path, erased: &Erased) -> Result<(), CannotRun> {
    let failed =
        |error: std::io::Error| CannotRun::because(format!("cannot write {}: {error}", path.display()));
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
    let line = serde_json::to_string(erased)?;
    file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Everybody in the list; none if there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Erased>, CannotRun> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CannotRun::because(format!("cannot read {}: {error}", path.display()))),
    };
    let lines = BufReader::new(file).lines().enumerate();
    let read = |(at, line): (usize, std::io::Result<String>)| {
        let unreadable =
            |why: String| CannotRun::because(format!("{} line {}: {why}", path.display(), at + 1));
        let line = line.map_err(|error| unreadable(error.to_string()))?;
        serde_json::from_str(&line).map_err(|error| unreadable(error.to_string()))
    };
    lines.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_a_damaged_one_is_named() {
        let folder = std::env::temp_dir().join(format!("rowhouse-erasures-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(NAME);
        assert_eq!(read(&path).unwrap(), []);
        let erased = |id: u128| Erased {
            user_id: Uuid::from_u128(id),
            reason: "asked".to_owned(),
            requested_at: "2026-11-28T00:00:00Z".to_owned(),
        };
        append(&path, &erased(1)).unwrap();
        append(&path, &erased(2)).unwrap();
        assert_eq!(read(&path).unwrap(), [erased(1), erased(2)]);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 3"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
