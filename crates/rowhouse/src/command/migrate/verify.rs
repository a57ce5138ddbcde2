//! `migrate verify`: whether the database is what its migrations say.

use rowhouse_db::migrate::{self, Verified};
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::json;

use super::{connect_project, read_files};
use crate::platform;

/// Exit code 1 if a migration is pending, a condition is not true, or the schema has drifted.
pub(super) async fn run(project: &Project) -> Result<CommandOutcome, CannotRun> {
    let migrations = read_files(project)?;
    let client = connect_project(project).await?;
    let found = migrate::verify(&client, &platform::migrations(), &migrations).await?;
    let verdict = if found.holds() { "pass" } else { "fail" };
    let json = json!({
        "verdict": verdict, "pending": found.pending, "conditions": found.conditions, "drift": found.drift,
    });
    Ok(CommandOutcome { yes: found.holds(), json, text: text(&found, verdict) })
}

fn text(found: &Verified, verdict: &str) -> String {
    let pending = found.pending.iter().map(|name| format!("pending    {name}\n"));
    let conditions = found.conditions.iter().map(|condition| {
        let holds = match condition.holds {
            Some(true) => "true",
            Some(false) => "FALSE",
            None => "UNKNOWN",
        };
        let error = condition.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
        format!("{holds:<10} {}:{}: {}{error}\n", condition.migration, condition.line, condition.sql)
    });
    let drift = found.drift.iter().map(|drift| format!("{:<10} {}\n", drift.change.as_str(), drift.object));
    let listed: String = pending.chain(conditions).chain(drift).collect();
    let remedy = if found.drift.is_empty() {
        ""
    } else {
        "\nobjects were changed beside the migrations: write a migration that does it, or undo the change"
    };
    format!("{listed}{verdict}{remedy}")
}
