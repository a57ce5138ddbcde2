//! One migration: statement by statement, so that each failure has its line; text and ledger row commit together.

use std::time::{Duration, Instant};

use tokio_postgres::error::{ErrorPosition, SqlState};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::ledger::{self, MigrationKind, RunNote};
use super::object;
use super::repair;
use super::script::{Command, split};
use super::source::DOWN;
use super::{MigrateError, Migration, RefusedStatement, Step};
use crate::session::{PROJECT_SEARCH_PATH, SET_SEARCH_PATH, SET_STANDARD_STRINGS};

/// How often a migration is retried that got no lock.
const MAX_ATTEMPTS: u32 = 30;
/// Between attempts, requests that have queued behind it proceed. Up to half as much again is added at random, so that it does
/// not meet the same periodic work each time.
const PAUSE: Duration = Duration::from_millis(1500);

/// Batches of a backfill: a condition that does not leave out what is done would go on for ever.
const MAX_BATCHES: u32 = 1_000_000;

/// Whether a file applies a migration or takes one back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// Why and where a migration failed.
struct Stop {
    error: tokio_postgres::Error,
    line: Option<usize>,
    statement: Option<String>,
}

impl From<tokio_postgres::Error> for Stop {
    fn from(error: tokio_postgres::Error) -> Self {
        Self { error, line: None, statement: None }
    }
}

impl Stop {
    fn at(command: Command<'_>, error: tokio_postgres::Error) -> Self {
        let inside = match error.as_db_error().and_then(|error| error.position()) {
            Some(ErrorPosition::Original(position)) => {
                let before = usize::try_from(*position).unwrap_or_default().saturating_sub(1);
                command.text.chars().take(before).filter(|c| *c == '\n').count()
            }
            _ => 0,
        };
        Self { error, line: Some(command.line + inside), statement: Some(command.text.to_owned()) }
    }

    /// No lock within the time, or a deadlock: another attempt may well succeed.
    fn is_retryable(&self) -> bool {
        let code = self.error.code();
        code == Some(&SqlState::LOCK_NOT_AVAILABLE) || code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }
}

/// Runs `migrations` in order.
pub(super) async fn all<'a>(
    client: &Client,
    kind: MigrationKind,
    direction: Direction,
    migrations: impl Iterator<Item = &'a Migration>,
    note: &RunNote,
) -> Result<Vec<Step>, MigrateError> {
    let mut steps: Vec<Step> = Vec::new();
    for migration in migrations {
        let started = Instant::now();
        if let Err(stop) = attempts(client, kind, direction, migration, note).await {
            return Err(MigrateError::Failed(Box::new(RefusedStatement {
                name: migration.name.clone(),
                line: stop.line,
                statement: stop.statement,
                cause: stop.error,
                part_stays: !migration.is_transactional(),
                applied: steps.into_iter().map(|step| step.name).collect(),
            })));
        }
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let what = if direction == Direction::Up { "applied" } else { "taken back" };
        tracing::info!(kind = kind.as_str(), name = migration.name, millis, "migration {what}");
        steps.push(Step { name: migration.name.clone(), millis: Some(millis) });
    }
    Ok(steps)
}

async fn attempts(
    client: &Client,
    kind: MigrationKind,
    direction: Direction,
    migration: &Migration,
    note: &RunNote,
) -> Result<(), Stop> {
    let mut attempt = 1;
    loop {
        let Err(stop) = once(client, kind, direction, migration, note).await else { return Ok(()) };
        // Outside a transaction this is a warning, nothing more; a lost connection has rolled back already.
        let _ended_already = client.batch_execute(&format!("rollback; {}", clear())).await;
        let may_repeat = migration.is_transactional() || migration.repeat_pause().is_some();
        if attempt == MAX_ATTEMPTS || !may_repeat || !stop.is_retryable() {
            return Err(stop);
        }
        let line = stop.line.unwrap_or_default();
        let budget = migration.lock_budget();
        tracing::warn!("{} line {line} got no lock within {budget:?}; trying again", migration.name);
        let jitter: f64 = client.query_one("select random() / 2", &[]).await?.get(0);
        tokio::time::sleep(PAUSE.mul_f64(1.0 + jitter)).await;
        attempt += 1;
    }
}

async fn once(
    client: &Client,
    kind: MigrationKind,
    direction: Direction,
    migration: &Migration,
    note: &RunNote,
) -> Result<(), Stop> {
    let started = Instant::now();
    let is_transactional = migration.is_transactional();
    let (begin, commit) = if is_transactional { (begin(migration), "commit;") } else { (String::new(), "") };
    if !is_transactional {
        repair::drop_invalid_indexes(client, migration).await?;
    }
    client.batch_execute(&format!("{begin} {SET_SEARCH_PATH}")).await?;
    let is_project = kind == MigrationKind::Project;
    let before = match (is_project, is_transactional) {
        (false, _) => None,
        (true, true) => Some(object::current(client).await?),
        (true, false) => Some(object::at_begin(client, &migration.name).await?),
    };
    client.batch_execute(&format!("{}; set role {}", search_path(kind), kind.role())).await?;
    let acting = Acting::now(client).await?;
    for command in split(&migration.sql) {
        let done = match migration.repeat_pause() {
            None => client.batch_execute(command.text).await,
            Some(pause) => repeat(client, migration, command, pause).await,
        };
        done.map_err(|error| Stop::at(command, error))?;
        if is_project {
            acting.require(client).await.map_err(|error| Stop::at(command, error))?;
        }
    }
    if is_project {
        let close = include_str!("../../sql/close_definers.sql");
        client.batch_execute(&format!("set role {}; {close}", kind.role())).await?;
    }
    if is_transactional {
        // Deferred triggers of the project would run as the login at commit.
        client.batch_execute("set constraints all immediate").await?;
    }
    // Settings that a migration leaves in the session must affect neither its record nor the next migration.
    client.batch_execute(&clear()).await?;
    match direction {
        Direction::Up => {
            let millis = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
            ledger::record(client, kind, migration, millis, note).await?;
        }
        Direction::Down => ledger::remove(client, kind, &forward_name(&migration.name)).await?,
    }
    if let Some(before) = before {
        object::record(client, &before, &object::current(client).await?).await?;
        if !is_transactional {
            object::forget_begin(client, &migration.name).await?;
        }
    }
    Ok(client.batch_execute(&format!("{commit} {}", clear())).await?)
}

/// As whom a session acts. A file of the project's that became somebody else would go on as the login that started it, perhaps a
/// superuser.
#[derive(PartialEq, Eq)]
struct Acting {
    /// `current_user` and `session_user`.
    users: [Option<String>; 2],
}

impl Acting {
    /// Names no function and no operator: the file may have replaced any by its search path.
    async fn now(client: &Client) -> Result<Self, tokio_postgres::Error> {
        let messages = client.simple_query("select current_user, session_user").await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(Self { users: [0, 1].map(|at| row.and_then(|row| row.get(at)).map(str::to_owned)) })
    }

    async fn require(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        if Self::now(client).await? == *self {
            return Ok(());
        }
        // As an error of PostgreSQL, so that it is reported with its statement.
        client.batch_execute(ROLE_CHANGED).await
    }
}

const ROLE_CHANGED: &str = "do $$ begin raise exception 'this statement has changed the role: a migration runs as \
    rowhouse_project from its first statement to its last; what needs another role, an operator does beside the migrations'; end $$";

/// A batch after the other, each in a transaction of its own, until one changes no row: nobody waits for all of them, and a run
/// that ends half-way is taken up where it was by the next one.
async fn repeat(
    client: &Client,
    migration: &Migration,
    command: Command<'_>,
    pause: Duration,
) -> Result<(), tokio_postgres::Error> {
    let mut total = 0;
    for _ in 0..MAX_BATCHES {
        client.batch_execute(&begin(migration)).await?;
        let rows = client.execute(command.text, &[]).await?;
        client.batch_execute("commit").await?;
        if rows == 0 {
            return Ok(());
        }
        total += rows;
        tracing::info!(name = migration.name, line = command.line, total, "batch done");
        tokio::time::sleep(pause).await;
    }
    // As an error of PostgreSQL, so that it is reported with its statement.
    let endless = "do $$ begin raise exception 'rows are changed again and again: the condition has to leave out what is done'; end $$";
    client.batch_execute(endless).await
}

/// The name of the migration that this file takes back.
fn forward_name(name: &str) -> String {
    name.strip_suffix(DOWN).map_or_else(|| name.to_owned(), |stem| format!("{stem}.sql"))
}

/// The platform's migrations qualify every name, and a better match in a schema of the project must not replace
/// PostgreSQL's own functions.
const fn search_path(kind: MigrationKind) -> &'static str {
    match kind {
        MigrationKind::Platform => SET_SEARCH_PATH,
        MigrationKind::Project | MigrationKind::Seed => PROJECT_SEARCH_PATH,
    }
}

/// Resets the session between migrations, except advisory locks, one of which is the runner's.
fn clear() -> String {
    format!(
        "reset session authorization; reset role; reset all; {SET_SEARCH_PATH}; {SET_STANDARD_STRINGS}; close all; unlisten *; \
         discard sequences; discard temp"
    )
}

/// How long a statement waits for a lock, since every request on the same table queues behind it. No limit outside a
/// transaction: `create index concurrently` waits for other transactions, and would leave an invalid index if it gave up.
fn begin(migration: &Migration) -> String {
    format!("begin; set local lock_timeout = {};", migration.lock_budget().as_millis())
}
