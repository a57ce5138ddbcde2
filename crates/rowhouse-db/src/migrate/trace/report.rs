//! What a trace has measured, and whether it is within the budget. Pure.

use std::time::Duration;

use serde::Serialize;

use super::probe::{self, HeldLock};

/// Shorter waits are those of a busy machine, and are not taken for larger tables.
const NOISE_MILLIS: u64 = 20;

/// The rows of a table that were there when its migrations were traced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// Rows that were copied.
    pub rows: u64,
    /// Rows of the project's table, an estimate of PostgreSQL's where not all were copied.
    pub live_rows: u64,
    /// Size of the project's table with its indexes.
    pub live_bytes: u64,
    /// Why its rows could not be copied.
    pub error: Option<String>,
}

impl TableRows {
    /// How many times as many rows the project's table has; none where they could not be copied.
    fn factor(&self) -> Option<f64> {
        match self.error.is_some() || (self.rows == 0 && self.live_rows > 0) {
            true => None,
            false => Some(count(self.live_rows.max(self.rows).max(1)) / count(self.rows.max(1))),
        }
    }
}

/// What a trace is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// The copied tables; a table that is not among them has rows of unknown relation to the project's.
    pub rows: &'a [TableRows],
    /// Most bytes of WAL of a file; zero for any number.
    pub wal_budget_bytes: u64,
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementTrace {
    /// Line of the file, from 1.
    pub line: usize,
    /// The statement.
    pub statement: String,
    /// How long it ran; of batches the longest.
    pub millis: u64,
    /// How often it ran, if the file repeats its statements.
    pub batches: Option<u32>,
    /// Locks of tables that were there before, each the strongest that was held after it.
    pub locks: Vec<HeldLock>,
    /// Tables with rows that it wrote anew.
    pub rewritten: Vec<String>,
    /// Tables that it read as a whole.
    pub read: Vec<String>,
    /// Tables of which it updated or deleted rows.
    pub changed: Vec<String>,
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
    /// From the statement that took it to the end of the transaction; of several transactions the longest.
    pub held_millis: u64,
    /// The same for as many rows as the project's tables have, where not all were copied.
    pub estimated_millis: u64,
    /// The longest that a reader waited.
    pub read_wait_millis: u64,
    /// The longest that a writer waited.
    pub write_wait_millis: u64,
    /// Which statement took it.
    #[serde(skip)]
    pub(super) since: usize,
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
    /// Bytes of WAL of all statements.
    pub wal_bytes: i64,
    /// What is beyond the budget.
    pub beyond: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether all statements are one transaction, so that a lock is held to the end of the file.
    #[serde(skip)]
    pub(super) is_transactional: bool,
}

impl FileTrace {
    /// Nothing is beyond the budget, and nothing failed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.beyond.is_empty() && self.error.is_none()
    }

    /// Estimates for the project's rows, and judges.
    pub(super) fn judge(&mut self, measured: &Measured<'_>) {
        self.wal_bytes = self.statements.iter().map(|statement| statement.wal_bytes).sum();
        let more: Vec<u64> = self.statements.iter().map(|statement| more(statement, measured)).collect();
        for table in &mut self.tables {
            let end = if self.is_transactional { more.len() } else { table.since + 1 };
            let added: u64 = more.get(table.since..end).unwrap_or_default().iter().sum();
            table.estimated_millis = table.held_millis + added;
        }
        let (rewrites, held, wal) = (self.rewrites(measured), self.held(), self.wal(measured));
        self.beyond = rewrites.into_iter().chain(held).chain(wal).collect();
    }

    /// A rewrite grows with its table, so no measurement on rows of another number vouches for it.
    fn rewrites(&self, measured: &Measured<'_>) -> Vec<String> {
        let all = self.statements.iter().flat_map(|s| s.rewritten.iter().map(move |table| (s.line, table)));
        let unknown = all.filter(|(_, table)| factor(table, measured).is_none());
        let named = unknown.map(|(line, table)| {
            format!("line {line} writes {table} anew, which takes as long as the table is big")
        });
        named.collect()
    }

    fn held(&self) -> Vec<String> {
        let budget = self.budget_millis;
        let mut beyond = Vec::new();
        for TableTrace {
            table,
            lock,
            held_millis,
            estimated_millis,
            read_wait_millis,
            write_wait_millis,
            ..
        } in &self.tables
        {
            let added = estimated_millis - held_millis;
            let blocks = probe::blocks_writes(lock);
            let about = |measured: u64, added: u64| match added {
                0 => format!("{measured} ms"),
                _ => format!("{measured} ms, about {} ms for all of its rows", measured + added),
            };
            if blocks && *estimated_millis > budget {
                beyond.push(format!("{lock} on {table} was held for {}", about(*held_millis, added)));
            }
            let has_changed = self.statements.iter().any(|statement| statement.changed.contains(table));
            if !blocks && has_changed && *estimated_millis > budget {
                let held = about(*held_millis, added);
                beyond.push(format!("rows of {table} that it changed were locked for {held}"));
            }
            for (who, wait) in [("a reader", *read_wait_millis), ("a writer", *write_wait_millis)] {
                let added = if wait >= NOISE_MILLIS { added } else { 0 };
                if wait + added > budget {
                    beyond.push(format!("{who} of {table} waited {}", about(wait, added)));
                }
            }
        }
        beyond
    }

    fn wal(&self, measured: &Measured<'_>) -> Option<String> {
        let budget = measured.wal_budget_bytes;
        let all = self.statements.iter().map(|statement| {
            // Bytes of one statement stay below 2^53.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an estimate, and never negative"
            )]
            let bytes = (statement.wal_bytes.max(0) as f64 * largest(statement, measured)) as u64;
            bytes
        });
        let bytes: u64 = all.sum();
        (budget > 0 && bytes > budget).then(|| {
            format!("it writes {bytes} bytes of write-ahead log; migrate.wal_budget_bytes is {budget}")
        })
    }
}

/// Milliseconds more that a statement takes with the project's rows.
fn more(statement: &StatementTrace, measured: &Measured<'_>) -> u64 {
    let more = Duration::from_millis(statement.millis).mul_f64(largest(statement, measured) - 1.0);
    super::millis(more)
}

/// The largest factor of a table that the statement reads or writes as a whole.
fn largest(statement: &StatementTrace, measured: &Measured<'_>) -> f64 {
    let tables = statement.read.iter().chain(&statement.rewritten);
    tables.filter_map(|table| factor(table, measured)).fold(1.0, f64::max)
}

fn factor(table: &str, measured: &Measured<'_>) -> Option<f64> {
    measured.rows.iter().find(|rows| rows.table == table)?.factor()
}

#[expect(clippy::cast_precision_loss, reason = "no table has 2^53 rows")]
fn count(rows: u64) -> f64 {
    rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: u64, live_rows: u64) -> TableRows {
        TableRows { table: "public.todos".to_owned(), rows, live_rows, live_bytes: 0, error: None }
    }

    fn file(millis: u64, lock: &str, read: &[&str]) -> FileTrace {
        let table = "public.todos".to_owned();
        FileTrace {
            name: "20260101000000_a.sql".to_owned(),
            budget_millis: 2000,
            statements: vec![StatementTrace {
                line: 1,
                statement: String::new(),
                millis,
                batches: None,
                locks: vec![HeldLock { table: table.clone(), mode: lock.to_owned() }],
                rewritten: Vec::new(),
                read: read.iter().map(|table| (*table).to_owned()).collect(),
                changed: Vec::new(),
                wal_bytes: 1000,
            }],
            tables: vec![TableTrace {
                table,
                lock: lock.to_owned(),
                held_millis: millis,
                estimated_millis: 0,
                read_wait_millis: 0,
                write_wait_millis: millis,
                since: 0,
            }],
            wal_bytes: 0,
            beyond: Vec::new(),
            error: None,
            is_transactional: true,
        }
    }

    fn beyond(mut file: FileTrace, rows: &[TableRows], wal_budget_bytes: u64) -> Vec<String> {
        file.judge(&Measured { rows, wal_budget_bytes });
        file.beyond
    }

    #[test]
    fn statement_that_reads_a_table_takes_longer_with_all_of_its_rows() {
        let found = beyond(file(100, "ShareLock", &["public.todos"]), &[rows(1000, 100_000)], 0);
        assert_eq!(
            found,
            [
                "ShareLock on public.todos was held for 100 ms, about 10000 ms for all of its rows",
                "a writer of public.todos waited 100 ms, about 10000 ms for all of its rows"
            ]
        );
        assert_eq!(beyond(file(100, "ShareLock", &["public.todos"]), &[rows(1000, 1000)], 0), [""; 0]);
        assert_eq!(beyond(file(100, "ShareLock", &[]), &[rows(1000, 100_000)], 0), [""; 0], "it reads none");
        assert_eq!(beyond(file(1, "ShareLock", &["public.todos"]), &[rows(1000, 100_000)], 0), [""; 0]);
    }

    #[test]
    fn rewrite_is_judged_by_its_time_where_the_rows_are_the_projects() {
        let rewriting = || {
            let mut file = file(100, "AccessExclusiveLock", &[]);
            file.statements[0].rewritten = vec!["public.todos".to_owned()];
            file
        };
        assert_eq!(beyond(rewriting(), &[rows(1000, 1000)], 0), [""; 0]);
        assert_eq!(beyond(rewriting(), &[rows(1000, 100_000)], 0).len(), 2);
        assert!(beyond(rewriting(), &[], 0)[0].contains("writes public.todos anew"));
        let uncopied = TableRows { error: Some("refused".to_owned()), ..rows(0, 1000) };
        assert!(beyond(rewriting(), &[uncopied], 0)[0].contains("writes public.todos anew"));
    }

    #[test]
    fn write_ahead_log_has_a_budget_of_its_own() {
        assert_eq!(beyond(file(1, "ShareLock", &[]), &[], 1000), [""; 0]);
        let found = beyond(file(1, "ShareLock", &["public.todos"]), &[rows(1000, 2000)], 1000);
        assert_eq!(found, ["it writes 2000 bytes of write-ahead log; migrate.wal_budget_bytes is 1000"]);
    }

    #[test]
    fn rows_that_were_changed_are_locked_for_as_long() {
        let mut file = file(3000, "RowExclusiveLock", &[]);
        file.statements[0].changed = vec!["public.todos".to_owned()];
        file.tables[0].write_wait_millis = 0;
        assert_eq!(beyond(file, &[], 0), ["rows of public.todos that it changed were locked for 3000 ms"]);
    }
}
