//! How a command ends: exit code, one JSON document or text on stdout, one line on stderr.

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

/// The result of a command that could run.
#[derive(Debug)]
pub struct CommandOutcome {
    /// False: the check failed (exit code 1).
    pub yes: bool,
    /// The document for `--json`; null when it has been printed already.
    pub json: Value,
    /// The text for people; may be empty.
    pub text: String,
}

impl CommandOutcome {
    /// A success with a document and a text.
    #[must_use]
    pub fn yes(json: Value, text: impl Into<String>) -> Self {
        Self { yes: true, json, text: text.into() }
    }
}

/// Why a command could not run (exit code 2): one clear line, perhaps several when there are several mistakes.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct CannotRun(pub Vec<String>);

impl CannotRun {
    /// One reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(vec![reason.into()])
    }
}

macro_rules! from_error {
    ($($error:ty),*) => {$(
        impl From<$error> for CannotRun {
            fn from(error: $error) -> Self {
                Self::because(error.to_string())
            }
        }
    )*};
}
from_error!(
    rowhouse_db::DbError,
    rowhouse_db::LoginError,
    rowhouse_db::embedded::EmbeddedError,
    rowhouse_db::migrate::SourceError,
    clap::Error,
    std::io::Error,
    serde_json::Error
);

impl From<rowhouse_db::BootstrapError> for CannotRun {
    /// One reason, whose further lines are statements to be run: nothing is put in front of those.
    fn from(error: rowhouse_db::BootstrapError) -> Self {
        Self::because(error.to_string())
    }
}

impl From<rowhouse_db::NotPrepared> for CannotRun {
    /// The same.
    fn from(error: rowhouse_db::NotPrepared) -> Self {
        Self::because(error.to_string())
    }
}

impl From<rowhouse_db::migrate::MigrateError> for CannotRun {
    /// One reason per line: PostgreSQL's DETAIL, HINT and CONTEXT each have theirs.
    fn from(error: rowhouse_db::migrate::MigrateError) -> Self {
        Self(error.to_string().lines().map(str::to_owned).collect())
    }
}

/// Prints the result and gives the exit code.
#[must_use]
pub fn report(as_json: bool, result: Result<CommandOutcome, CannotRun>) -> ExitCode {
    let (code, json, text) = match result {
        Ok(outcome) => (if outcome.yes { 0 } else { 1 }, outcome.json, outcome.text),
        Err(error) => {
            print_line(&mut std::io::stderr(), &lines(&error));
            (2, json!({ "error": error.0 }), String::new())
        }
    };
    if as_json && !json.is_null() {
        print_line(&mut std::io::stdout(), &json.to_string());
    } else if !as_json && !text.is_empty() {
        print_line(&mut std::io::stdout(), text.trim_end());
    }
    ExitCode::from(code)
}

/// One line per reason; further lines of a reason are for pasting, and nothing is put in front of them.
fn lines(error: &CannotRun) -> String {
    error.0.iter().map(|reason| format!("rowhouse: {reason}")).collect::<Vec<_>>().join("\n")
}

/// A closed pipe (`| head`) is not a failure.
fn print_line(out: &mut impl Write, line: &str) {
    let _closed = writeln!(out, "{line}");
}

#[cfg(test)]
mod tests {
    use rowhouse_db::{BootstrapError, Unprepared};

    use super::{CannotRun, lines};

    #[test]
    fn statements_to_be_run_can_be_pasted() {
        let statements = vec!["grant create on schema public to a".to_owned(), "grant b to c".to_owned()];
        let unprepared = Unprepared { database: "app".to_owned(), login: "me".to_owned(), statements };
        let printed = lines(&CannotRun::from(BootstrapError::Unprepared(unprepared)));
        let mut printed = printed.lines();
        assert!(
            printed.next().is_some_and(|line| line.starts_with("rowhouse: the database app is not prepared"))
        );
        assert_eq!(printed.collect::<Vec<_>>(), ["grant create on schema public to a;", "grant b to c;"]);
    }
}
