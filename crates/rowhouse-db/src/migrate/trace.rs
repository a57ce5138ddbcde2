//! Runs files in a database of its own while others read and write their tables, and notes what each statement locks, for how
//! long, who waits for it, what it rewrites and how much it logs. Leaves which tables are loaded to the caller.

mod load;
mod probe;

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_postgres::Client;

use self::load::Load;
pub use self::probe::HeldLock;
use self::probe::Probe;
use super::ledger::MigrationKind;
use super::script::split;
use super::{MigrateError, Migration, exclusive};
use crate::error::DbError;
use crate::scratch::Scratch;

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementTrace {
    /// Line of the file, from 1.
    pub line: usize,
    /// The statement.
    pub statement: String,
    /// How long it ran.
    pub millis: u64,
    /// Locks of tables that were there before, each the strongest that the transaction holds after it.
    pub locks: Vec<HeldLock>,
    /// Tables with rows that it wrote anew.
    pub rewritten: Vec<String>,
    /// Bytes of WAL, of the whole server.
    pub wal_bytes: i64,
}

/// What a table went through while a file ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableTrace {
    /// The table.
    pub table: String,
    /// The strongest lock.
    pub lock: String,
    /// From the statement that took it to the end of the transaction.
    pub held_millis: u64,
    /// The longest that a reader waited.
    pub read_wait_millis: u64,
    /// The longest that a writer waited.
    pub write_wait_millis: u64,
}

/// What a file did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileTrace {
    /// File name without folder.
    pub name: String,
    /// How long it may hold others up.
    pub budget_millis: u64,
    /// Its statements, in order.
    pub statements: Vec<StatementTrace>,
    /// Tables that were there before, and that it locked.
    pub tables: Vec<TableTrace>,
    /// What is beyond the budget.
    pub beyond: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
}

impl FileTrace {
    /// Nothing is beyond the budget, and nothing failed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.beyond.is_empty() && self.error.is_none()
    }
}

/// Traces `files` in order; each is loaded on the tables that `loaded` names for it, as far as they are there.
///
/// # Errors
/// The database's; a failing file is a result, and the last one.
pub async fn trace(
    scratch: &Scratch,
    client: &Client,
    files: &[Migration],
    loaded: impl Fn(&Migration) -> Vec<String>,
) -> Result<Vec<FileTrace>, MigrateError> {
    exclusive(client, async || {
        let mut traces = Vec::new();
        for file in files {
            file.check()?;
            let load = Load::start(scratch, client, &loaded(file)).await?;
            let traced = one(client, file).await;
            let waits = load.stop().await;
            let mut traced = traced?;
            for table in &mut traced.tables {
                let of = |waits: &[(String, Duration)]| {
                    waits.iter().filter(|(name, _)| *name == table.table).map(|(_, wait)| millis(*wait)).max()
                };
                table.read_wait_millis = of(&waits.reads).unwrap_or(0);
                table.write_wait_millis = of(&waits.writes).unwrap_or(0);
            }
            traced.judge();
            let has_failed = traced.error.is_some();
            traces.push(traced);
            if has_failed {
                break;
            }
        }
        Ok(traces)
    })
    .await
}

async fn one(client: &Client, file: &Migration) -> Result<FileTrace, MigrateError> {
    let mut traced = FileTrace {
        name: file.name.clone(),
        budget_millis: millis(file.lock_budget()),
        statements: Vec::new(),
        tables: Vec::new(),
        beyond: Vec::new(),
        error: None,
    };
    let probe = Probe::new(client).await?;
    let begin = if file.is_transactional() { "begin" } else { "" };
    client.batch_execute(begin).await?;
    client.batch_execute(&format!("reset search_path; set role {}", MigrationKind::Project.role())).await?;
    let mut taken: Vec<(HeldLock, Instant)> = Vec::new();
    for command in split(&file.sql) {
        let started = Instant::now();
        let before = probe.before(client).await?;
        if let Err(error) = client.batch_execute(command.text).await {
            traced.error = Some(format!("line {}: {}", command.line, DbError::from(error)));
            break;
        }
        let ran = started.elapsed();
        let after = probe.after(client, &before).await?;
        for lock in &after.locks {
            if !taken.iter().any(|(held, _)| held == lock) {
                taken.push((lock.clone(), started));
            }
        }
        traced.statements.push(StatementTrace {
            line: command.line,
            statement: command.text.to_owned(),
            millis: millis(ran),
            locks: after.locks,
            rewritten: after.rewritten,
            wal_bytes: after.wal_bytes,
        });
    }
    let end = if traced.error.is_some() { "rollback" } else { "commit" };
    let end = if file.is_transactional() { end } else { "" };
    client.batch_execute(&format!("{end}; reset role; reset all")).await?;
    traced.tables = tables(&taken);
    Ok(traced)
}

/// Each table once, with its strongest lock.
fn tables(taken: &[(HeldLock, Instant)]) -> Vec<TableTrace> {
    let mut tables: Vec<TableTrace> = Vec::new();
    for (lock, since) in taken {
        let held_millis = millis(since.elapsed());
        match tables.iter_mut().find(|known| known.table == lock.table) {
            Some(known) if probe::strength(&known.lock) >= probe::strength(&lock.mode) => {}
            Some(known) => (known.lock, known.held_millis) = (lock.mode.clone(), held_millis),
            None => tables.push(TableTrace {
                table: lock.table.clone(),
                lock: lock.mode.clone(),
                held_millis,
                read_wait_millis: 0,
                write_wait_millis: 0,
            }),
        }
    }
    tables
}

impl FileTrace {
    /// A rewrite grows with its table, so no measurement on a smaller one vouches for it.
    fn judge(&mut self) {
        let budget = self.budget_millis;
        for statement in &self.statements {
            let line = statement.line;
            self.beyond.extend(statement.rewritten.iter().map(|table| {
                format!("line {line} writes {table} anew, which takes as long as the table is big")
            }));
        }
        for TableTrace { table, lock, held_millis, read_wait_millis, write_wait_millis } in &self.tables {
            if probe::blocks_requests(lock) && *held_millis > budget {
                self.beyond.push(format!("{lock} on {table} was held for {held_millis} ms"));
            }
            for (who, wait) in [("a reader", read_wait_millis), ("a writer", write_wait_millis)] {
                if *wait > budget {
                    self.beyond.push(format!("{who} of {table} waited {wait} ms"));
                }
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
