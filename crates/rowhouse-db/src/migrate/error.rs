//! Errors of the migration runner, for operators.

use std::fmt;

use tokio_postgres::error::SqlState;

use crate::error::DbError;

/// Longest part of a statement that a message shows, in characters.
const SHOWN_CHARACTERS: usize = 120;

/// Why migrations were not applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// An applied migration's text is no longer what was applied.
    #[error(
        "{kind} migration {name} was changed after it was applied; restore its text and add a new migration instead"
    )]
    Drift {
        /// "platform" or "project".
        kind: &'static str,
        /// Its file name.
        name: String,
    },
    /// The database has a platform migration that this program does not know.
    #[error("the database has platform migration {0}, which this version does not know; use a newer version")]
    Newer(String),
    /// The database lacks a platform migration and may not be changed.
    #[error(
        "platform migration {0} is not applied; run `rowhouse migrate up`, or set db.apply_migrations = true"
    )]
    Pending(String),
    /// An applied project migration is missing from the folder.
    #[error(
        "project migration {0} was applied and is missing from the migrations folder; bring the file back"
    )]
    Missing(String),
    /// A project migration sorts before one that is applied already.
    #[error(
        "project migration {name} sorts before {last}, which is applied already; give it a later time stamp"
    )]
    OutOfOrder {
        /// The late one.
        name: String,
        /// The newest applied one.
        last: String,
    },
    /// A file contains a statement that a migration cannot contain; nothing was done.
    #[error("migration {name} line {line}: {reason}")]
    Unrunnable {
        /// Its file name.
        name: String,
        /// Line of the file, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// A migration asks for an extension that this login may not create, or that the server does not have.
    #[error(
        "migration {name} needs the extension {extension}: {cause}; as a superuser, or with your provider's own way, run in this database: create extension if not exists \"{extension}\" schema extensions"
    )]
    Extension {
        /// File name of the migration.
        name: String,
        /// The extension.
        extension: String,
        /// What PostgreSQL said.
        cause: DbError,
    },
    /// A migration that is to be taken back has no file that does it.
    #[error(
        "project migration {0} has no way back: write {1} beside it, or undo what it did in a new migration; nothing was taken back"
    )]
    NoWayBack(String, String),
    /// The migration that is to stay is not applied.
    #[error("project migration {0} is not applied; `rowhouse migrate status` lists those that are")]
    NotApplied(String),
    /// A file that takes a migration back cannot be read: which, and why.
    #[error("{0}")]
    Unreadable(String),
    /// PostgreSQL refused a statement.
    #[error(transparent)]
    Failed(Box<RefusedStatement>),
    /// Interrupted; the running statement was cancelled.
    #[error("interrupted: the statement that ran was cancelled; migrations that were complete stay applied")]
    Interrupted,
    /// The ledger could not be read or written.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<tokio_postgres::Error> for MigrateError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A statement that PostgreSQL refused.
#[derive(Debug)]
pub struct RefusedStatement {
    /// File name of the migration.
    pub name: String,
    /// Line of the file, from 1; none when committing failed.
    pub line: Option<usize>,
    /// The statement; none when committing failed.
    pub statement: Option<String>,
    /// What PostgreSQL said.
    pub cause: tokio_postgres::Error,
    /// Whether earlier statements of this file stay applied, because it ran outside a transaction.
    pub part_stays: bool,
    /// Migrations that this run had applied before.
    pub applied: Vec<String>,
}

impl std::error::Error for RefusedStatement {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

impl fmt::Display for RefusedStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.line.map_or_else(|| " at its commit".to_owned(), |line| format!(" at line {line}"));
        write!(f, "migration {} failed{place}: ", self.name)?;
        match self.cause.as_db_error() {
            Some(error) => server_words(f, error)?,
            None => write!(f, "{}", chain(&self.cause))?,
        }
        if let Some(statement) = &self.statement {
            let line = one_line(statement);
            if self.cause.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) && is_create_extension(&line) {
                f.write_str(EXTENSION_HINT)?;
            }
            write!(f, "\nSTATEMENT: {}", shown(&line))?;
        }
        f.write_str(match self.part_stays {
            true => {
                "\nIt runs outside a transaction: what its statements before this one did stays. Make them repeatable (if not exists). An index that was left invalid is dropped and made again by the next run"
            }
            false => "\nNothing of this file stays",
        })?;
        match self.applied.as_slice() {
            [] => f.write_str("; nothing was applied before it"),
            applied => write!(f, "; applied before it: {}", applied.join(", ")),
        }
    }
}

fn server_words(f: &mut fmt::Formatter<'_>, error: &tokio_postgres::error::DbError) -> fmt::Result {
    write!(f, "{} ({})", error.message(), error.code().code())?;
    for (label, text) in [("DETAIL", error.detail()), ("HINT", error.hint()), ("CONTEXT", error.where_())] {
        if let Some(text) = text {
            write!(f, "\n{label}: {text}")?;
        }
    }
    Ok(())
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

const EXTENSION_HINT: &str = "\nHINT: Let the file begin with `-- rowhouse: extension NAME` in place of this statement; the extension is then created with the rights that this needs.";

fn is_create_extension(line: &str) -> bool {
    let head: Vec<String> = line.split(' ').take(2).map(str::to_ascii_lowercase).collect();
    head == ["create", "extension"]
}

fn one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A long line is truncated.
fn shown(line: &str) -> String {
    match line.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
