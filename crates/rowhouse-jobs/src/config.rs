//! Writes the declarations of `rowhouse.toml` and the program into the database when a process starts: kinds, limits
//! of queues, schedules. The process that started last wins; nothing is deleted. Kinds and queues are added before the
//! project's migrations, too.

mod store;

use std::collections::BTreeMap;

use rowhouse_db::Transaction;
use rowhouse_db::{Control, DbError, TransactionError};
use rowhouse_kernel::{Operation, Rng, SharedClock, SharedRng};
use serde_json::Map;
use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::cron::Cron;
use crate::schedule::plan::{Chance, Turn, turn_after};
use crate::settings::{JobsSettings, KindHandler, Missed, ScheduleSettings};
use crate::{BuiltInSchedule, JobKind, Registry};
use store::{add_kinds, add_queues, take_turn, write_kinds, write_queues, write_schedules};

/// A built-in schedule as the file would declare it. The file may override it under the same name.
fn built_in_schedule(schedule: &BuiltInSchedule) -> ScheduleSettings {
    ScheduleSettings {
        cron: Cron::parse(schedule.cron, "UTC").ok(),
        pattern: schedule.cron.to_owned(),
        timezone: "UTC".to_owned(),
        kind: schedule.kind.to_owned(),
        payload: Map::new(),
        queue: "default".to_owned(),
        missed: Missed::Once,
        jitter: std::time::Duration::from_secs(300),
        paused: false,
    }
}

/// Why the declarations cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Every declaration that refers to an unknown kind or queue, each under its key.
    #[error("{}", .0.join("; "))]
    Mistakes(Vec<String>),
    /// The database's.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl TransactionError for ConfigError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => Some(error),
            Self::Mistakes(_) => None,
        }
    }
}

/// All declarations, by source.
#[derive(Debug)]
pub struct Declarations<'a> {
    /// Those of the file.
    pub settings: &'a JobsSettings,
    /// The kinds that this process can run, including those of the file.
    pub registry: &'a Registry,
    /// The program's own schedules.
    pub built_in: &'a [BuiltInSchedule],
    /// This program's version.
    pub release: &'a str,
}

/// Writes all declarations into the database; idempotent. Queues that the file no longer names lose their limits,
/// schedules that it no longer names stop firing.
///
/// # Errors
/// Names of kinds and queues that do not exist, all at once; or the database's.
pub async fn sync(
    control: &Control,
    declared: &Declarations<'_>,
    clock: &SharedClock,
    rng: &SharedRng,
) -> Result<(), ConfigError> {
    let everything = Everything::of(declared, clock.now(), &**rng);
    control.run_tx(&Operation::system("jobs_sync"), async move |tx| everything.write(tx).await).await
}

/// Adds the kinds and queues that the database does not know yet, so that migrations can enqueue before a worker has
/// started. What it knows stays as the process that started last has written it.
///
/// # Errors
/// The database's.
pub async fn announce(client: &Client, settings: &JobsSettings, kinds: &[JobKind]) -> Result<(), DbError> {
    let kinds: Vec<_> =
        kinds.iter().map(|kind| (kind.clone(), handler_of(&kind.name, settings).to_owned())).collect();
    client.batch_execute("begin").await?;
    match add_missing(client, settings, &kinds).await {
        Ok(()) => Ok(client.batch_execute("commit").await?),
        Err(error) => {
            client.batch_execute("rollback").await?;
            Err(error)
        }
    }
}

async fn add_missing(
    client: &Client,
    settings: &JobsSettings,
    kinds: &[(JobKind, String)],
) -> Result<(), DbError> {
    take_turn(client).await?;
    add_kinds(client, kinds).await?;
    add_queues(client, settings).await
}

/// The declarations to be written.
struct Everything {
    settings: JobsSettings,
    kinds: Vec<(JobKind, String)>,
    schedules: Schedules,
    release: String,
}

impl Everything {
    fn of(declared: &Declarations<'_>, now: OffsetDateTime, rng: &dyn Rng) -> Self {
        let settings = declared.settings.clone();
        let kinds = declared.registry.kinds();
        Self {
            kinds: kinds.map(|kind| (kind.clone(), handler_of(&kind.name, &settings).to_owned())).collect(),
            schedules: schedules(&settings, declared.built_in, now, rng),
            release: plain_release(declared.release),
            settings,
        }
    }

    async fn write(&self, tx: &Transaction<'_>) -> Result<(), ConfigError> {
        take_turn(tx).await?;
        write_kinds(tx, &self.kinds, &self.release).await?;
        write_queues(tx, &self.settings).await?;
        require_known(tx, &self.kinds, &self.schedules).await?;
        write_schedules(tx, &self.schedules).await?;
        Ok(())
    }
}

fn handler_of(kind: &str, settings: &JobsSettings) -> &'static str {
    match settings.kinds.get(kind).map(|declared| declared.handler) {
        Some(KindHandler::Http) => "http",
        Some(KindHandler::Sql) => "sql",
        None if kind == crate::sql_handler::KIND => "sql",
        None => "rowhouse",
    }
}

/// The numbers of a version: `1.2.0-rc.1` is 1.2.0.
fn plain_release(release: &str) -> String {
    let numbers = release.split(['-', '+']).next().unwrap_or_default();
    let is_plain = !numbers.is_empty() && numbers.split('.').all(|part| part.parse::<u16>().is_ok());
    if is_plain { numbers.to_owned() } else { "0".to_owned() }
}

/// A schedule to be written.
#[derive(Clone)]
struct Written {
    schedule: ScheduleSettings,
    built_in: bool,
    /// Its first occurrence, if it starts now.
    turn: Option<Turn>,
}

/// By name.
type Schedules = BTreeMap<String, Written>;

fn schedules(
    settings: &JobsSettings,
    built_in: &[BuiltInSchedule],
    now: OffsetDateTime,
    rng: &dyn Rng,
) -> Schedules {
    let written = |schedule: ScheduleSettings, built_in| {
        let cron = schedule.cron.as_ref();
        let turn = cron.and_then(|cron| turn_after(cron, schedule.jitter, now, Chance::draw(rng)));
        Written { schedule, built_in, turn }
    };
    let own = built_in.iter().map(|own| (own.name.to_owned(), written(built_in_schedule(own), true)));
    let mut all: Schedules = own.collect();
    for (name, schedule) in settings.schedules.iter() {
        let is_own = all.contains_key(name);
        all.insert(name.to_owned(), written(schedule.clone(), is_own));
    }
    all
}

/// Refuses schedules of unknown kinds or into undeclared queues.
async fn require_known(
    tx: &Transaction<'_>,
    kinds: &[(JobKind, String)],
    schedules: &Schedules,
) -> Result<(), ConfigError> {
    let rows = tx.query("select name from jobs.queues", &[]).await.map_err(DbError::from)?;
    let queues: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut mistakes = Vec::new();
    for (name, Written { schedule, .. }) in schedules {
        let key = if name.contains('.') { format!("\"{name}\"") } else { name.clone() };
        if !kinds.iter().any(|(kind, _)| *kind.name == *schedule.kind) {
            mistakes.push(format!(
                "jobs.schedules.{key}.kind: no handler for jobs of kind \"{}\"",
                schedule.kind
            ));
        }
        if !queues.contains(&schedule.queue) {
            mistakes.push(format!("jobs.schedules.{key}.queue: no queue is called \"{}\"", schedule.queue));
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(ConfigError::Mistakes(mistakes)) }
}
