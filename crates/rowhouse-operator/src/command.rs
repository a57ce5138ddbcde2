//! `users`, `bulk` and `admin`.

mod admin;
mod bulk;
mod shown;
mod users;

use std::io::Write;

use clap::ArgMatches;
use rowhouse_module::{CannotRun, CommandOutcome};
use serde::Serialize;
use serde_json::Value;

pub(crate) use admin::ADMIN;
pub(crate) use bulk::BULK;
pub(crate) use users::USERS;

/// Whether the one document is wanted.
fn is_json(matches: &ArgMatches) -> bool {
    matches.try_get_one::<bool>("json").ok().flatten().copied().unwrap_or_default()
}

/// Prints the document with a space after each colon, as `/health` has it: scripts match `"missing_profiles": 0` as text.
fn outcome(
    as_json: bool,
    yes: bool,
    document: &impl Serialize,
    text: String,
) -> Result<CommandOutcome, CannotRun> {
    if !as_json {
        return Ok(CommandOutcome { yes, json: Value::Null, text });
    }
    let document = serde_json::to_string_pretty(document)?;
    // A closed pipe (`| head`) is not a failure.
    let _closed = writeln!(std::io::stdout(), "{document}");
    Ok(CommandOutcome { yes, json: Value::Null, text: String::new() })
}
