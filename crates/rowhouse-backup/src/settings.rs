//! `[backup]`: where backups are kept, who can open them and how long they stay.

use std::path::{Path, PathBuf};

use reqwest::Url;
use rowhouse_jobs::Cron;
use rowhouse_kernel::settings::{Check, Findings, Settings};
use rowhouse_kernel::{Secret, settings, words};

use crate::age::{Identity, Recipient};

const KIB: u64 = 1024;
const SMALLEST_CHUNK: u64 = 64 * KIB;
/// The most that is compressed at once, and so decompressed.
pub(crate) const LARGEST_CHUNK: u64 = 64 * 1024 * KIB;
const MOST_PARALLEL: u64 = 32;

words! {
    /// What `backup create` and the schedule make.
    pub enum BackupMethod {
        /// Physical, or logical where the server gives no replication.
        Auto = "auto",
        /// The files of the cluster, and its write-ahead log: restores to any time.
        Physical = "physical",
        /// A dump of the database by pg_dump: restores to the moment at which it began.
        Logical = "logical",
    }
}

words! {
    /// Who makes the backups.
    pub enum Adapter {
        /// This program.
        None = "none",
        /// pgBackRest, where a cluster uses it already.
        PgBackRest = "pgbackrest",
    }
}

words! {
    /// When `migrate up` makes a dump first.
    pub enum BeforeMigration {
        /// In production, if no write-ahead log is kept and a store was chosen.
        Auto = "auto",
        /// Always when no write-ahead log is kept.
        On = "on",
        /// Never.
        Off = "off",
    }
}

settings! {
    /// Backups of the cluster and its write-ahead log. They begin with the first `rowhouse backup create`.
    pub struct BackupSettings in "backup" {
        /// Where backups are kept: a folder, relative to the project, or `s3://bucket/prefix`.
        pub store: String = ".rowhouse/backups".to_owned(),
        /// URL of the S3 service. Unset: that of Amazon in `backup.region`.
        pub endpoint: Option<String> = None,
        /// Region of the bucket.
        pub region: String = "us-east-1".to_owned(),
        /// Id of the access key for the bucket.
        pub access_key_id: Option<String> = None,
        /// The access key for the bucket.
        pub secret_access_key: Option<Secret> = None,
        /// Public keys (`age1…`) whose owners can open every backup without the server; keep the private keys offline. `age-keygen` makes a pair.
        pub escrow: Vec<String> = Vec::new(),
        /// The server's own key (`AGE-SECRET-KEY-1…`). Unset: `.rowhouse/keys/backup.key`, made when it is first needed.
        pub server_key: Option<Secret> = None,
        /// What is made: `physical`, `logical` (pg_dump; the schedule makes dumps only if this says so), or `auto`: physical where the server lets the login replicate, logical elsewhere.
        pub method: BackupMethod = BackupMethod::Auto,
        /// URL of a login that reads every row (`bypassrls`), for dumps. Unset: the project's.
        pub dump_url: Option<Secret> = None,
        /// Whether `migrate up` makes a dump first where no write-ahead log is kept to go back by: `on`, `off`, or `auto`: in production, if `backup.store` was chosen.
        pub before_migration: BeforeMigration = BeforeMigration::Auto,
        /// Who makes the backups: `none` is this program, `pgbackrest` a pgBackRest that backs the cluster up already and has its own repository, keys, schedule and retention.
        pub adapter: Adapter = Adapter::None,
        /// The stanza of pgBackRest.
        pub stanza: Option<String> = None,
        /// pgBackRest's configuration file. Unset: the one where it looks by itself.
        pub pgbackrest_config: Option<String> = None,
        /// When a backup is made: a cron pattern, in UTC.
        pub schedule: String = "0 2 * * *".to_owned(),
        /// When a drill is run: a cron pattern, in UTC; empty for never.
        pub drill_schedule: String = "0 4 1 * *".to_owned(),
        /// File with the private escrow key for scheduled drills, relative to the project. Unset: the server's key, and reports say so.
        pub drill_key_file: Option<String> = None,
        /// For how many days the newest backup of each day is kept, at least 1.
        pub keep_daily: u32 as "days" = 7,
        /// For how many weeks the newest backup of each week (from Monday) is kept.
        pub keep_weekly: u32 as "weeks" = 4,
        /// Bytes that are compressed and encrypted at once, from 64 KiB to 64 MiB.
        pub chunk_bytes: u64 as "bytes" = 4 * 1024 * KIB,
        /// How many chunks are in memory at once, from 1 to 32.
        pub parallel_chunks: u64 as "chunks" = 4,
        /// Bytes that must stay free on the disk of the store; writing stops before.
        pub min_free_bytes: u64 as "bytes" = 1024 * 1024 * KIB,
    }
}

impl Check for BackupSettings {
    const REFUSED: &'static [(&'static str, &'static str)] =
        &[("escrow", "empty while `backup.store` is a bucket: only the server could open the backups")];

    fn check(&self, findings: &mut Findings<'_>) {
        self.check_place(findings);
        for text in self.escrow.iter().filter(|text| Recipient::parse(text).is_none()) {
            findings.refuse("escrow", format!("\"{text}\" is not a public key of age (age1…)"));
        }
        if self.server_key.as_ref().is_some_and(|key| Identity::parse(key.expose()).is_none()) {
            findings.refuse("server_key", "not a private key of age (AGE-SECRET-KEY-1…)");
        }
        if !(SMALLEST_CHUNK..=LARGEST_CHUNK).contains(&self.chunk_bytes) {
            findings.refuse("chunk_bytes", format!("expected {SMALLEST_CHUNK} to {LARGEST_CHUNK}"));
        }
        if !(1..=MOST_PARALLEL).contains(&self.parallel_chunks) {
            findings.refuse("parallel_chunks", format!("expected 1 to {MOST_PARALLEL}"));
        }
        if let Some(Err(why)) = self.dump_url.as_ref().map(rowhouse_db::url::check) {
            findings.refuse("dump_url", why.to_string());
        }
        if self.adapter == Adapter::PgBackRest && self.stanza.as_deref().unwrap_or_default().is_empty() {
            findings.refuse("stanza", "not set; `backup.adapter = \"pgbackrest\"` needs it");
        }
        if let Err(why) = self.cron() {
            findings.refuse("schedule", why);
        }
        if let Err(why) = self.drill_cron() {
            findings.refuse("drill_schedule", why);
        }
        if self.keep_daily == 0 {
            findings.refuse("keep_daily", "must be at least 1");
        }
    }

    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        if self.bucket().is_some() && self.escrow.is_empty() {
            findings.refuse(
                "escrow",
                "no key besides the server's can open the backups; make one offline with age-keygen",
            );
        }
    }
}

impl BackupSettings {
    /// The times of backups.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn cron(&self) -> Result<Cron, String> {
        Cron::parse(&self.schedule, "UTC").map_err(|error| error.to_string())
    }

    /// Whether somebody has decided where backups are kept, by the settings or by having made one.
    #[must_use]
    pub fn has_store(&self, project: &Path) -> bool {
        self.store != Self::default().store || self.folder(project).is_dir()
    }

    /// The times of drills; none if there are to be none.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn drill_cron(&self) -> Result<Option<Cron>, String> {
        match self.drill_schedule.trim() {
            "" => Ok(None),
            pattern => Cron::parse(pattern, "UTC").map(Some).map_err(|error| error.to_string()),
        }
    }

    /// Bucket and prefix of an S3 store.
    #[must_use]
    pub fn bucket(&self) -> Option<(&str, &str)> {
        let place = self.store.strip_prefix("s3://")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        Some((bucket, prefix.trim_matches('/')))
    }

    /// The folder of a store on disk.
    #[must_use]
    pub fn folder(&self, project: &Path) -> PathBuf {
        project.join(&self.store)
    }

    /// The escrow keys; what is not one has been refused.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        self.escrow.iter().filter_map(|text| Recipient::parse(text)).collect()
    }

    fn check_place(&self, findings: &mut Findings<'_>) {
        let has_bucket = self.bucket().map(|(bucket, _)| !bucket.is_empty());
        let is_folder = !self.store.trim().is_empty() && !self.store.contains("://");
        if !has_bucket.unwrap_or(is_folder) {
            findings.refuse("store", "expected a folder or s3://bucket/prefix");
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        if self.bucket().is_some_and(|(bucket, prefix)| !bucket.bytes().chain(prefix.bytes()).all(is_plain)) {
            findings.refuse("store", "expected letters, digits, `-`, `_`, `.` and `/` behind s3://");
        }
        let is_url =
            |text: &String| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !self.endpoint.as_ref().is_none_or(is_url) {
            findings.refuse("endpoint", "expected a URL such as https://s3.example.com");
        }
        if has_bucket.is_some() && self.access_key_id.is_none() {
            findings.refuse("access_key_id", "not set; the bucket needs it");
        }
        if has_bucket.is_some() && self.secret_access_key.is_none() {
            findings.refuse("secret_access_key", "not set; the bucket needs it");
        }
    }
}
