//! `migrate trace`: what files lock and hold up, measured beside the project's database while others read and write.

use rowhouse_db::migrate::{self, FileTrace, Migration, StatementTrace, TableTrace};
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::json;

use super::round_trip::first_tried;
use super::scratch::{self, Content};
use crate::cli::RoundtripArgs;

/// Exit code 1 if something is beyond a file's budget, or fails.
pub(super) async fn run(project: &Project, args: &RoundtripArgs) -> Result<CommandOutcome, CannotRun> {
    let migrations = migrate::read_project(&project.migrations())?;
    let first = if args.all { 0 } else { first_tried(project, &migrations).await? };
    let (base, files) = migrations.split_at(first);
    let content = Content { base, tried: files, data: args.data.as_deref() };
    let traces = scratch::with(project, content, async |scratch, client| {
        Ok(migrate::trace(scratch, client, files, tables).await?)
    })
    .await?;
    let holds = traces.iter().all(FileTrace::holds);
    let verdict = if holds { "pass" } else { "fail" };
    let text: String = traces.iter().map(shown).collect();
    let json = json!({ "verdict": verdict, "files": traces });
    Ok(CommandOutcome { yes: holds, json, text: format!("{text}{verdict}") })
}

/// Tables that the file names.
fn tables(file: &Migration) -> Vec<String> {
    let mut all: Vec<String> =
        rowhouse_lint::expected_locks(file).into_iter().flat_map(|expected| expected.relations).collect();
    all.sort();
    all.dedup();
    all
}

fn shown(trace: &FileTrace) -> String {
    let statements = trace.statements.iter().map(|statement| {
        let StatementTrace { line, millis, locks, rewritten, wal_bytes, .. } = statement;
        let locks: String = locks.iter().map(|lock| format!(", {} on {}", lock.mode, lock.table)).collect();
        let rewritten: String = rewritten.iter().map(|table| format!(", rewrites {table}")).collect();
        format!("  line {line}: {millis} ms, {wal_bytes} bytes of WAL{locks}{rewritten}\n")
    });
    let tables = trace.tables.iter().map(|table| {
        let TableTrace { table, lock, held_millis, read_wait_millis, write_wait_millis } = table;
        format!("  {table}: {lock} held {held_millis} ms; a reader waited {read_wait_millis} ms, a writer {write_wait_millis} ms\n")
    });
    let beyond = trace.beyond.iter().map(|beyond| format!("  BEYOND {beyond}\n"));
    let error = trace.error.iter().map(|error| format!("  FAILED {error}\n"));
    let details: String = statements.chain(tables).chain(beyond).chain(error).collect();
    format!("{} (budget {} ms)\n{details}", trace.name, trace.budget_millis)
}
