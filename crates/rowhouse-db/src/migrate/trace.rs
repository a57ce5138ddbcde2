//! Runs files in a database of its own while others read and write their tables, and notes what each statement locks, for how
//! long, who waits for it, what it reads as a whole, what it rewrites and how much it logs. Leaves the judgement to `report`.

mod copy;
mod load;
mod probe;
mod report;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

pub use self::copy::copy_rows;
use self::load::Load;
pub use self::probe::HeldLock;
use self::probe::{After, Before, Probe};
pub use self::report::{FileTrace, Measured, StatementTrace, TableRows, TableTrace};
use super::ledger::MigrationKind;
use super::script::{Command, split};
use super::{MigrateError, Migration, exclusive};
use crate::error::DbError;
use crate::scratch::Scratch;
use crate::session::PROJECT_SEARCH_PATH;

/// Batches of one statement of a backfill that are traced; the later ones do the same.
const MAX_BATCHES: u32 = 200;

/// Traces `files` in order, each loaded on the tables that it names.
///
/// # Errors
/// The database's; a failing file is a result, and the last one.
pub async fn trace(
    scratch: &Scratch,
    client: &Client,
    files: &[Migration],
    measured: Measured<'_>,
) -> Result<Vec<FileTrace>, MigrateError> {
    let watcher = scratch.connect().await?;
    exclusive(client, async || {
        let mut traces = Vec::new();
        for file in files {
            file.check()?;
            let load = Load::start(scratch, &named(client, std::slice::from_ref(file)).await?).await?;
            let tracer =
                Tracer { client, watcher: &watcher, file, measured, probe: Probe::new(client).await? };
            let traced = tracer.run().await;
            let waits = load.stop().await;
            let mut traced = traced?;
            for table in &mut traced.tables {
                let of = |waits: &[(String, Duration)]| {
                    waits.iter().filter(|(name, _)| *name == table.table).map(|(_, wait)| millis(*wait)).max()
                };
                table.read_wait_millis = of(&waits.reads).unwrap_or(0);
                table.write_wait_millis = of(&waits.writes).unwrap_or(0);
            }
            traced.judge(&measured);
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

/// Tables whose name is a word of one of the files, also in texts such as `tenancy.protect('public.todos')`.
async fn named(client: &Client, files: &[Migration]) -> Result<Vec<String>, DbError> {
    let texts = files.iter().flat_map(|file| file.sql.split(|c: char| !(c.is_alphanumeric() || c == '_')));
    let all: BTreeSet<String> = texts.flat_map(|word| [word.to_owned(), word.to_lowercase()]).collect();
    let rows = client.query(include_str!("../../sql/trace_tables.sql"), &[]).await?;
    let is_named = |row: &&tokio_postgres::Row| all.contains(row.get::<_, &str>(2)) && !row.get::<_, bool>(3);
    Ok(rows.iter().filter(is_named).map(|row| row.get(1)).collect())
}

/// One file under way.
struct Tracer<'a> {
    client: &'a Client,
    watcher: &'a Client,
    file: &'a Migration,
    measured: Measured<'a>,
    probe: Probe,
}

/// A lock with the statement that took it, and since when or for how long it was held.
struct Taken {
    lock: HeldLock,
    statement: usize,
    held: Held,
}

enum Held {
    Since(Instant),
    For(Duration),
}

/// What one statement did.
struct Ran {
    after: After,
    /// Locks, each with how long it was held if it is held no more.
    held: Vec<(HeldLock, Held)>,
    took: Duration,
    batches: u32,
}

impl Tracer<'_> {
    async fn run(&self) -> Result<FileTrace, MigrateError> {
        let is_transactional = self.file.is_transactional();
        let mut traced = FileTrace {
            name: self.file.name.clone(),
            budget_millis: millis(self.file.lock_budget()),
            statements: Vec::new(),
            tables: Vec::new(),
            wal_bytes: 0,
            beyond: Vec::new(),
            error: None,
            is_transactional,
        };
        let begin = if is_transactional { "begin" } else { "" };
        let role = MigrationKind::Project.role();
        self.client.batch_execute(begin).await?;
        self.client.batch_execute(&format!("{PROJECT_SEARCH_PATH}; set role {role}")).await?;
        let mut taken: Vec<Taken> = Vec::new();
        for command in split(&self.file.sql) {
            let ran = match is_transactional {
                true => self.within(command).await,
                false => self.batches(command).await,
            };
            let ran = match ran {
                Ok(ran) => ran,
                Err(error) => {
                    traced.error = Some(format!("line {}: {}", command.line, DbError::from(error)));
                    break;
                }
            };
            let statement = traced.statements.len();
            traced.statements.push(self.statement(command, &ran));
            note(&mut taken, statement, ran.held);
        }
        let end = if traced.error.is_some() { "rollback" } else { "commit" };
        let end = if is_transactional { end } else { "" };
        self.client.batch_execute(&format!("{end}; reset role; reset all")).await?;
        traced.tables = tables(&taken);
        Ok(traced)
    }

    /// A statement of the file's transaction, whose locks stay.
    async fn within(&self, command: Command<'_>) -> Result<Ran, tokio_postgres::Error> {
        let started = Instant::now();
        let before = self.probe.before(self.client).await?;
        self.client.batch_execute(command.text).await?;
        let took = started.elapsed();
        let after = self.probe.after(self.client, &before).await?;
        let held = after.locks.iter().map(|lock| (lock.clone(), Held::Since(started))).collect();
        Ok(Ran { after, held, took, batches: 1 })
    }

    /// A statement with a transaction of its own; where the file repeats it, until it changes no row.
    async fn batches(&self, command: Command<'_>) -> Result<Ran, tokio_postgres::Error> {
        let mut all = self.alone(command).await?;
        if self.file.repeat_pause().is_none() {
            return Ok(all.0);
        }
        while all.1 > 0 && all.0.batches < MAX_BATCHES {
            let (ran, rows) = self.alone(command).await?;
            all = (all.0.and(ran), rows);
        }
        Ok(all.0)
    }

    /// In a transaction, which shows its locks even if they are short; what PostgreSQL refuses in one runs without.
    async fn alone(&self, command: Command<'_>) -> Result<(Ran, u64), tokio_postgres::Error> {
        self.client.batch_execute("begin").await?;
        let before = self.probe.before(self.client).await?;
        let started = Instant::now();
        let done = self.client.execute(command.text, &[]).await;
        match done {
            Ok(rows) => {
                let took = started.elapsed();
                let after = self.probe.after(self.client, &before).await?;
                self.client.batch_execute("commit").await?;
                let whole = started.elapsed();
                let held = after.locks.iter().map(|lock| (lock.clone(), Held::For(whole))).collect();
                Ok((Ran { after, held, took, batches: 1 }, rows))
            }
            Err(error) => {
                self.client.batch_execute("rollback").await?;
                match error.code() {
                    Some(&SqlState::ACTIVE_SQL_TRANSACTION) => Ok((self.bare(command, &before).await?, 0)),
                    _ => Err(error),
                }
            }
        }
    }

    /// Looks at its locks over another connection meanwhile.
    async fn bare(&self, command: Command<'_>, before: &Before) -> Result<Ran, tokio_postgres::Error> {
        let mut seen = Vec::new();
        let started = Instant::now();
        tokio::select! {
            done = self.client.batch_execute(command.text) => done?,
            () = self.probe.sample(self.watcher, &mut seen) => {}
        }
        let took = started.elapsed();
        let mut after = self.probe.after(self.client, before).await?;
        after.locks = seen.iter().map(|(lock, ..)| lock.clone()).collect();
        let held = seen.into_iter().map(|(lock, first, last)| (lock, Held::For(last - first))).collect();
        Ok(Ran { after, held, took, batches: 1 })
    }

    fn statement(&self, command: Command<'_>, ran: &Ran) -> StatementTrace {
        let rows = |table: &str| {
            self.measured.rows.iter().find(|rows| rows.table == table).map_or(0, |rows| rows.rows)
        };
        let is_whole =
            |(table, read): &(&String, &i64)| u64::try_from(**read).unwrap_or(0) >= (rows(table) / 2).max(1);
        let read = ran.after.read.iter().filter(is_whole);
        StatementTrace {
            line: command.line,
            statement: command.text.to_owned(),
            millis: millis(ran.took),
            batches: self.file.repeat_pause().map(|_| ran.batches),
            locks: ran.after.locks.clone(),
            rewritten: ran.after.rewritten.clone(),
            read: read.map(|(table, _)| table.clone()).collect(),
            changed: ran.after.changed.keys().cloned().collect(),
            wal_bytes: ran.after.wal_bytes,
        }
    }
}

impl Ran {
    /// With the batch after it.
    fn and(mut self, next: Self) -> Self {
        self.held.extend(next.held);
        self.took = self.took.max(next.took);
        self.batches += next.batches;
        let (all, more) = (&mut self.after, next.after);
        all.wal_bytes += more.wal_bytes;
        all.read.extend(more.read);
        all.changed.extend(more.changed);
        for lock in more.locks {
            if !all.locks.contains(&lock) {
                all.locks.push(lock);
            }
        }
        self
    }
}

/// Locks that the transaction holds already are no news.
fn note(taken: &mut Vec<Taken>, statement: usize, held: Vec<(HeldLock, Held)>) {
    for (lock, held) in held {
        let is_known = taken.iter().any(|known| known.lock == lock && matches!(known.held, Held::Since(_)));
        if !is_known {
            taken.push(Taken { lock, statement, held });
        }
    }
}

/// Each table once, with its strongest lock, and the longest that it was held.
fn tables(taken: &[Taken]) -> Vec<TableTrace> {
    let mut tables: Vec<TableTrace> = Vec::new();
    for Taken { lock, statement, held } in taken {
        let held_millis = millis(match held {
            Held::Since(moment) => moment.elapsed(),
            Held::For(duration) => *duration,
        });
        let table = TableTrace {
            table: lock.table.clone(),
            lock: lock.mode.clone(),
            held_millis,
            estimated_millis: held_millis,
            read_wait_millis: 0,
            write_wait_millis: 0,
            since: *statement,
        };
        let rank = |table: &TableTrace| (probe::strength(&table.lock), table.held_millis);
        match tables.iter_mut().find(|known| known.table == lock.table) {
            Some(known) if rank(known) >= rank(&table) => {}
            Some(known) => *known = table,
            None => tables.push(table),
        }
    }
    tables
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
