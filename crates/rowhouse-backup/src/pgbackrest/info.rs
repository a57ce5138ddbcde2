//! What `pgbackrest info --output=json` says, in the words of `backup list`. Leaves asking to its parent.

use rowhouse_module::CannotRun;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Status codes of a stanza with which there is nothing wrong: fine, and no backup yet (pgBackRest, `info` command).
const SOUND: [u64; 2] = [0, 2];

#[derive(Debug, Deserialize)]
struct Stanza {
    name: String,
    status: Status,
    #[serde(default)]
    backup: Vec<Raw>,
    #[serde(default)]
    db: Vec<Database>,
    #[serde(default)]
    archive: Vec<Archive>,
}

#[derive(Debug, Deserialize)]
struct Status {
    code: u64,
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Database {
    id: u64,
    system_id: u64,
    version: String,
}

#[derive(Debug, Deserialize)]
struct Archive {
    database: Of,
    max: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Of {
    id: u64,
}

#[derive(Debug, Deserialize)]
struct Raw {
    label: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    error: bool,
    annotation: Option<Annotation>,
    database: Of,
    info: Size,
    lsn: Option<Positions>,
    timestamp: Span,
}

#[derive(Debug, Deserialize)]
struct Annotation {
    label: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Size {
    size: u64,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Repository {
    delta: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Positions {
    start: Option<String>,
    stop: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Span {
    start: i64,
    stop: i64,
}

/// A backup of the stanza.
#[derive(Debug)]
pub(crate) struct Backup {
    raw: Raw,
    version: String,
    system_id: String,
    /// The newest segment of its cluster in the archive.
    newest: Option<String>,
}

/// The backups, the oldest first.
pub(super) fn read(text: &str, stanza: &str) -> Result<Vec<Backup>, CannotRun> {
    let failed = |why: &dyn std::fmt::Display| CannotRun::because(format!("pgbackrest info: {why}"));
    let stanzas: Vec<Stanza> = serde_json::from_str(text).map_err(|error| failed(&error))?;
    let found = stanzas.into_iter().find(|found| found.name == stanza);
    let Some(found) = found.filter(|found| SOUND.contains(&found.status.code)) else {
        return Err(failed(&format!(
            "the stanza {stanza} cannot be used; look at `pgbackrest info`, and make it with `pgbackrest --stanza={stanza} \
             stanza-create` if there is none"
        )));
    };
    tracing::debug!(message = found.status.message, "pgbackrest info");
    let (databases, archives) = (found.db, found.archive);
    let backups = found.backup.into_iter().map(|raw| {
        let database = databases.iter().find(|database| database.id == raw.database.id);
        let archive = archives.iter().rev().find(|archive| archive.database.id == raw.database.id);
        Backup {
            version: database.map(|database| database.version.clone()).unwrap_or_default(),
            system_id: database.map(|database| database.system_id.to_string()).unwrap_or_default(),
            newest: archive.and_then(|archive| archive.max.clone()),
            raw,
        }
    });
    Ok(backups.collect())
}

impl Backup {
    pub(crate) fn id(&self) -> &str {
        &self.raw.label
    }

    /// Whether pgBackRest found no wrong page checksum while it made it.
    pub(crate) fn is_good(&self) -> bool {
        !self.raw.error
    }

    pub(crate) fn label(&self) -> &str {
        self.raw.annotation.as_ref().and_then(|annotation| annotation.label.as_deref()).unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        &self.raw.kind
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.raw.info.size
    }

    pub(crate) fn stored_bytes(&self) -> u64 {
        self.raw.info.repository.delta.unwrap_or_default()
    }

    pub(crate) fn started_at(&self) -> OffsetDateTime {
        instant(self.raw.timestamp.start)
    }

    /// As `backup list` describes a backup.
    pub(crate) fn document(&self) -> Value {
        let position =
            |pick: fn(&Positions) -> &Option<String>| self.raw.lsn.as_ref().and_then(|lsn| pick(lsn).clone());
        json!({
            "id": self.id(),
            "status": if self.is_good() { "good" } else { "damaged" },
            "kind": "physical",
            "type": self.kind(),
            "label": self.label(),
            "bytes": self.bytes(),
            "stored_bytes": self.stored_bytes(),
            "started_at": shown(self.raw.timestamp.start),
            "finished_at": shown(self.raw.timestamp.stop),
            "postgres_version": self.version,
            "system_id": self.system_id,
            "start_lsn": position(|lsn| &lsn.start),
            "stop_lsn": position(|lsn| &lsn.stop),
            "newest_segment": self.newest,
        })
    }
}

fn instant(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn shown(seconds: i64) -> Option<String> {
    instant(seconds).format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    /// Printed by pgBackRest 2.45.
    const INFO: &str = r#"[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000002","min":"000000010000000000000001"}],"backup":[{"annotation":{"label":"my label"},"archive":{"start":"000000010000000000000002","stop":"000000010000000000000002"},"backrest":{"format":5,"version":"2.45"},"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":22992556,"repository":{"delta":3043464,"size":3043464},"size":22992556},"label":"20261128-202019F","lsn":{"start":"0/2000028","stop":"0/2000100"},"prior":null,"reference":null,"timestamp":{"start":1795897219,"stop":1795897227},"type":"full"}],"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":7713319808829339836,"version":"15"}],"name":"main","repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]"#;
    const MISSING: &str = r#"[{"archive":[],"backup":[],"cipher":"none","db":[],"name":"main","repo":[{"cipher":"none","key":1,"status":{"code":1,"message":"missing stanza path"}}],"status":{"code":1,"lock":{"backup":{"held":false}},"message":"missing stanza path"}}]"#;

    #[test]
    fn backups_are_described_as_in_the_list() {
        let found = read(INFO, "main").unwrap();
        assert_eq!(
            found[0].document(),
            json!({
                "id": "20261128-202019F", "status": "good", "kind": "physical", "type": "full", "label": "my label",
                "bytes": 22_992_556, "stored_bytes": 3_043_464, "started_at": "2026-11-28T20:20:19Z",
                "finished_at": "2026-11-28T20:20:27Z", "postgres_version": "15", "system_id": "7713319808829339836",
                "start_lsn": "0/2000028", "stop_lsn": "0/2000100", "newest_segment": "000000010000000000000002",
            })
        );
    }

    #[test]
    fn stanza_that_is_not_there_is_refused_with_the_command_that_makes_it() {
        for text in [MISSING, "[]", INFO] {
            let stanza = if text == INFO { "other" } else { "main" };
            let why = read(text, stanza).unwrap_err().to_string();
            assert!(why.contains(&format!("--stanza={stanza} stanza-create")), "{why}");
        }
    }
}
