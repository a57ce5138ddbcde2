//! `migrate up --dry-run`: SQL, order and the locks that are to be expected, after the checks of `migrate up`.

use rowhouse_db::migrate::{self, Migration};
use rowhouse_lint::expected_locks;
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::{Value, json};

use super::lint::Pending;
use super::{connect_project, read_files};
use crate::{modules, platform};

/// Longest part of a statement in the text for people, in characters; the document has all of it.
const SHOWN_CHARACTERS: usize = 100;

/// Prints what `up` would do; changes nothing. Exit code 1 if lint refuses the files in production, wherever this runs.
pub(super) async fn run(project: &Project, no_lint: bool) -> Result<CommandOutcome, CannotRun> {
    let migrations = read_files(project)?;
    let client = connect_project(project).await?;
    let (settings, _) = modules::settings(project)?;
    let plan = migrate::plan(&client, &platform::migrations(), &migrations).await?;
    let linted = match no_lint {
        true => None,
        false => Some(Pending::judge(&client, &settings, &migrations).await?),
    };
    let names: Vec<&str> = plan.pending().collect();
    let files = migrations.iter().filter(|migration| names.contains(&migration.name.as_str()));
    let (texts, documents): (Vec<String>, Vec<Value>) = files.map(shown).unzip();
    let extensions: String =
        plan.extensions.iter().map(|name| format!("would create extension {name}\n")).collect();
    let is_refused = linted.as_ref().is_some_and(Pending::is_refused);
    let (lint, said) = linted.map(|pending| said(&pending)).unwrap_or_default();
    let text =
        format!("{extensions}{}{said}would apply {}\n{}", texts.concat(), names.len(), names.join("\n"));
    let json = json!({
        "would_apply": names, "would_create_extensions": plan.extensions, "files": documents, "lint": lint,
    });
    Ok(CommandOutcome { yes: !is_refused, json, text })
}

/// What lint says, for programs and for people.
fn said(pending: &Pending) -> (Value, String) {
    let CommandOutcome { json: mut document, text, .. } = pending.outcome();
    if let Value::Object(all) = &mut document {
        all.insert("is_refused_in_production".to_owned(), json!(pending.is_refused()));
    }
    let refused = match pending.is_refused() {
        true => "`migrate up` refuses these files in production\n",
        false => "",
    };
    (document, format!("lint:\n{text}\n{refused}"))
}

/// For people, and for programs.
fn shown(migration: &Migration) -> (String, Value) {
    let locks = expected_locks(migration);
    let lines = locks.iter().map(|expected| {
        let lock = expected.lock.map_or_else(String::new, |lock| {
            format!("  -- {lock} on {}: {} wait\n", relations(&expected.relations), expected.blocks)
        });
        format!("  {}\n{lock}", one_line(&expected.statement))
    });
    let head = match migration.is_transactional() {
        true => format!("{}, in a transaction\n", migration.name),
        false => format!("{}, without a transaction\n", migration.name),
    };
    let budget = u64::try_from(migration.lock_budget().as_millis()).unwrap_or(u64::MAX);
    let document = json!({
        "name": migration.name, "sql": migration.sql, "transaction": migration.is_transactional(),
        "phase": migration.phase(), "reversible": migration.reversible(),
        "lock_budget_millis": budget, "statements": locks,
    });
    (std::iter::once(head).chain(lines).collect(), document)
}

fn relations(names: &[String]) -> String {
    if names.is_empty() { "what it names".to_owned() } else { names.join(", ") }
}

fn one_line(statement: &str) -> String {
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
