use rowhouse_jobs::Cron;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{damaged, is_due, own};
use crate::key::Wrapped;
use crate::manifest::{BackupId, BackupKind, FORMAT, Manifest};
use crate::store::{BackupState, Condition, Listed, Record};

fn listed(at: OffsetDateTime, condition: Condition) -> Listed {
    let id = BackupId::at(at, [1, 2, 3]);
    Listed { id, condition, stored_bytes: 1, modified: at, state: BackupState::default() }
}

fn good(at: OffsetDateTime) -> Listed {
    let manifest = Manifest {
        format: FORMAT,
        id: BackupId::at(at, [1, 2, 3]),
        kind: BackupKind::Physical,
        label: String::new(),
        started_at: at,
        finished_at: at,
        rowhouse_version: String::new(),
        postgres_version: String::new(),
        system_id: "1".to_owned(),
        timeline: 1,
        start_lsn: None,
        stop_lsn: None,
        wal_segment_bytes: 0,
        chunk_bytes: 0,
        key: Wrapped { recipients: Vec::new(), age: String::new(), author: String::new() },
        objects: Vec::new(),
        details: Value::Null,
    };
    listed(at, Condition::Good(Box::new(manifest)))
}

fn due(backups: &[Listed], now: OffsetDateTime) -> bool {
    is_due(&Cron::parse("0 2 * * *", "UTC").expect("a pattern"), backups, now)
}

#[test]
fn backup_is_due_once_a_time_has_passed_since_the_last() {
    let made = [good(datetime!(2026-11-27 14:00 UTC)), good(datetime!(2026-11-28 02:00:05 UTC))];
    assert!(!due(&made, datetime!(2026-11-29 01:59 UTC)));
    assert!(due(&made, datetime!(2026-11-29 02:00 UTC)));
    assert!(due(&made, datetime!(2026-12-24 12:00 UTC)), "times that nobody was there for");
    assert!(due(&made[..1], datetime!(2026-11-28 02:00 UTC)), "an earlier one, made by hand, does not count");
}

#[test]
fn unfinished_backup_counts_as_none_once_nobody_can_be_writing_it() {
    let made = [listed(datetime!(2026-11-28 02:00 UTC), Condition::Incomplete)];
    assert!(!due(&made, datetime!(2026-11-28 07:59 UTC)), "it is being made");
    assert!(due(&made, datetime!(2026-11-28 08:01 UTC)));
    assert!(!due(&[], datetime!(2026-11-28 08:01 UTC)), "backups were never turned on with this store");
    assert!(
        due(&[good(datetime!(2027-01-01 00:00 UTC))], datetime!(2026-11-28 08:01 UTC)),
        "the clock was wrong"
    );
    let before = [
        good(datetime!(2026-11-27 02:00 UTC)),
        listed(datetime!(2026-11-28 02:00 UTC), Condition::Incomplete),
    ];
    assert!(due(&before, datetime!(2026-11-28 02:20 UTC)), "its maker may have died");
}

#[test]
fn backup_in_which_damage_was_found_is_named_until_there_is_a_newer_one() {
    let at = datetime!(2026-11-28 02:00 UTC);
    let verified = Record { at, good: false, last_good_at: None, details: Value::Null };
    let mut made = vec![good(datetime!(2026-11-27 02:00 UTC)), good(at)];
    made[1].state.verified = Some(verified);
    let why = damaged(&made).unwrap_or_default();
    assert!(why.contains("20261128T020000Z-010203") && why.contains("rowhouse backup verify"), "{why}");
    made.push(good(datetime!(2026-11-29 02:00 UTC)));
    assert_eq!(damaged(&made), None);
    assert_eq!(damaged(&[]), None);
}

#[test]
fn dump_of_another_database_is_no_backup_of_this_project() {
    let dump = |database: &str| {
        let mut one = good(datetime!(2026-11-28 02:00 UTC));
        if let Condition::Good(manifest) = &mut one.condition {
            manifest.kind = BackupKind::Logical;
            manifest.details = serde_json::json!({ "database": database });
        }
        one
    };
    let listed = vec![dump("app"), dump("staging"), good(datetime!(2026-11-27 02:00 UTC))];
    let left = own("app", listed);
    let dumped: Vec<_> = left.iter().map(|one| one.manifest().and_then(Manifest::dumped)).collect();
    assert_eq!(dumped, [Some("app"), None]);
}
