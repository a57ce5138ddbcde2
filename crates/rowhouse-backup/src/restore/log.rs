//! Why recovery did not reach its target, from the server's log: PostgreSQL has no SQLSTATE for it. The log is in English,
//! since the server is started with `lc_messages=C`.

use rowhouse_db::replication::Lsn;
use rowhouse_module::CannotRun;

use super::Target;

const NOT_REACHED: &str = "recovery ended before configured recovery target was reached";
const NEWEST: &str = "last completed transaction was at log time ";
/// Lines of a log in an error.
const SHOWN: usize = 12;

/// The error to report.
pub(super) fn explain(log: &str, target: &Target, end: Option<Lsn>) -> CannotRun {
    if !log.contains(NOT_REACHED) {
        let mut lines: Vec<&str> = log.lines().rev().take(SHOWN).collect();
        lines.reverse();
        return CannotRun::because(format!("the restored server does not start:\n{}", lines.join("\n")));
    }
    let newest = newest(log).map(|time| format!("; the newest that can be restored is --at {time}"));
    let end = end.map(|end| format!(", and the write-ahead log ends at {end}")).unwrap_or_default();
    CannotRun::because(format!("{target} is not in the store{end}{}", newest.unwrap_or_default()))
}

/// As `--at` takes it (RFC 3339); the server logs UTC.
fn newest(log: &str) -> Option<String> {
    let (_, rest) = log.rsplit_once(NEWEST)?;
    let (date, time) = rest.lines().next()?.trim().split_once(' ')?;
    Some(format!("{date}T{}Z", time.trim_end_matches("+00")))
}

#[cfg(test)]
mod tests {
    use rowhouse_db::replication::Lsn;

    use super::{Target, explain};

    #[test]
    fn newest_time_is_named() {
        let log = "LOG:  redo done at 0/4\nLOG:  last completed transaction was at log time 2026-11-28 10:00:00.5+00\n\
                   FATAL:  recovery ended before configured recovery target was reached\n";
        assert_eq!(
            explain(log, &Target::Lsn(Lsn(0x500_0000)), Some(Lsn(0x400_0000))).to_string(),
            "the position 0/5000000 is not in the store, and the write-ahead log ends at 0/4000000; \
             the newest that can be restored is --at 2026-11-28T10:00:00.5Z"
        );
    }

    #[test]
    fn other_failures_show_the_log() {
        let shown = explain("FATAL:  could not open file", &Target::Latest, None).to_string();
        assert!(shown.ends_with("FATAL:  could not open file"), "{shown}");
    }
}
