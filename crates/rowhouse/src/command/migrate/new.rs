//! `migrate new`: an empty migration with a commented head.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use rowhouse_db::migrate::read_project;
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::json;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// Longest name: the whole file name stays below 100 bytes.
const MOST_BYTES: usize = 80;
const HEAD: &str = "\
-- What this migration does, and why.
--
-- It runs in a transaction, as the role rowhouse_project. Directives stand in these first lines, one in each, written
-- `-- rowhouse: DIRECTIVE`; an empty line ends them:
--   no-transaction      for create index concurrently and the like
--   extension NAME      an extension that is created first
--   verify CONDITION    SQL that is true once this is applied; `rowhouse migrate verify` asks
--   smoke QUERY         a query that has to succeed after each `rowhouse migrate up`, and not to answer false
--   repeat 100ms        a backfill in batches, each statement until it changes no row
--   phase expand        or backfill, switch, contract: which part of a larger change this is
--   reversible no       it cannot be reverted
--   lock-budget 500ms   how long this may block others
--   allow RULE: REASON  a finding of `rowhouse migrate lint` that is accepted
-- A table of tenants' rows: select tenancy.protect('public.NAME');

";
const DOWN_HEAD: &str = "-- Reverts the migration of the same name: `rowhouse migrate down`. Delete this file if that is not possible.\n\n";

pub(super) fn run(project: &Project, name: &str, now: OffsetDateTime) -> Result<CommandOutcome, CannotRun> {
    if name.is_empty() || name.len() > MOST_BYTES || !name.bytes().all(is_plain) {
        return Err(CannotRun::because(format!(
            "a migration's name has 1 to {MOST_BYTES} letters, digits and underscores: add_due_date"
        )));
    }
    let folder = project.migrations();
    let existing = read_project(&folder)?;
    let time = time_stamp(existing.last().map(|last| last.name.as_str()), now)?;
    std::fs::create_dir_all(&folder)
        .map_err(|error| CannotRun::because(format!("{}: {error}", folder.display())))?;
    let mut made = Vec::new();
    for (end, head) in [(".sql", HEAD), (".down.sql", DOWN_HEAD)] {
        let path = folder.join(format!("{time}_{name}{end}"));
        let written = OpenOptions::new().write(true).create_new(true).open(&path);
        let written = written.and_then(|mut file| file.write_all(head.as_bytes()));
        written.map_err(|error| CannotRun::because(format!("{}: {error}", path.display())))?;
        made.push(path.display().to_string());
    }
    let text = format!("wrote {}", made.join("\nwrote "));
    Ok(CommandOutcome::yes(json!({ "written": made }), text))
}

/// Writes a migration behind all others; its path.
pub(in crate::command) fn new_file(
    project: &Project,
    name: &str,
    sql: &str,
    now: OffsetDateTime,
) -> Result<PathBuf, CannotRun> {
    let folder = project.migrations();
    let existing = read_project(&folder)?;
    let time = time_stamp(existing.last().map(|last| last.name.as_str()), now)?;
    let path = folder.join(format!("{time}_{name}.sql"));
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path))
        .and_then(|mut file| file.write_all(sql.as_bytes()));
    written.map_err(|error| CannotRun::because(format!("{}: {error}", path.display())))?;
    Ok(path)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Now, or a second behind the last migration if that lies ahead: a migration may not sort before an applied one.
fn time_stamp(last: Option<&str>, now: OffsetDateTime) -> Result<String, CannotRun> {
    let format = time::macros::format_description!("[year][month][day][hour][minute][second]");
    let unusable = |error: &dyn std::fmt::Display| CannotRun::because(format!("the time stamp: {error}"));
    let last = last.and_then(|name| PrimitiveDateTime::parse(name.get(..14)?, format).ok());
    let earliest = last.map(|last| last.assume_utc() + Duration::SECOND);
    let time = earliest.map_or(now, |earliest| earliest.max(now));
    time.format(format).map_err(|error| unusable(&error))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn time_stamp_is_later_than_every_other() {
        let now = datetime!(2026-11-28 10:00 UTC);
        assert_eq!(time_stamp(None, now).unwrap(), "20261128100000");
        assert_eq!(time_stamp(Some("20251128100000_a.sql"), now).unwrap(), "20261128100000");
        assert_eq!(time_stamp(Some("20270101235959_a.sql"), now).unwrap(), "20270102000000");
        assert_eq!(time_stamp(Some("20269999999999_a.sql"), now).unwrap(), "20261128100000");
    }

    #[test]
    fn what_is_written_holds_no_directive() {
        for head in [HEAD, DOWN_HEAD] {
            let file = rowhouse_db::migrate::Migration::new("20260101000000_a.sql", head);
            assert_eq!(file.bad_directives(), []);
            assert!(file.is_transactional() && file.reversible().is_none() && file.smokes().next().is_none());
        }
    }
}
