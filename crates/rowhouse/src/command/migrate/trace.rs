//! `migrate trace`: what files lock and hold up, measured beside the project's database on its rows while others read and write.

use std::sync::atomic::AtomicBool;

use rowhouse_db::migrate::{
    self, FileTrace, Measured, MigrateSettings, Migration, StatementTrace, TableRows, TableTrace,
};
use rowhouse_db::scratch::Scratch;
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::json;

use super::round_trip::first_tried;
use super::scratch::{self, Content, Rows};
use super::{connect_project, read_files};
use crate::cli::TraceArgs;
use crate::modules;

/// Exit code 1 if something is beyond a file's budget, or fails.
pub(super) async fn run(
    project: &Project,
    args: &TraceArgs,
    interrupted: &AtomicBool,
) -> Result<CommandOutcome, CannotRun> {
    let migrations = read_files(project)?;
    let (settings, _) = modules::settings(project)?;
    let settings = settings.get::<MigrateSettings>();
    let first = if args.all { 0 } else { first_tried(project, &migrations).await? };
    let (base, files) = migrations.split_at(first);
    let rows = args.data.as_deref().map_or(if args.all { Rows::Seed } else { Rows::None }, Rows::File);
    let copies = matches!(rows, Rows::None);
    let most_rows = args.rows.unwrap_or(settings.trace_rows);
    let content = Content { base, tried: files, rows };
    let (traces, rows) = scratch::with(project, content, interrupted, async |scratch, client| {
        let rows = if copies { copied(project, scratch, files, most_rows).await? } else { Vec::new() };
        let measured = Measured { rows: &rows, wal_budget_bytes: settings.wal_budget_bytes };
        let traces = migrate::trace(scratch, client, files, measured).await?;
        Ok((traces, rows))
    })
    .await?;
    let holds = traces.iter().all(FileTrace::holds);
    let verdict = if holds { "pass" } else { "fail" };
    let text: String = rows.iter().map(shown_rows).chain(traces.iter().map(shown)).collect();
    let json = json!({ "verdict": verdict, "rows": rows, "files": traces });
    Ok(CommandOutcome { yes: holds, json, text: format!("{text}{verdict}") })
}

async fn copied(
    project: &Project,
    scratch: &Scratch,
    files: &[Migration],
    most_rows: u64,
) -> Result<Vec<TableRows>, CannotRun> {
    let live = connect_project(project).await?;
    Ok(migrate::copy_rows(&live, &scratch.connect_for_rows().await?, files, most_rows).await?)
}

fn shown_rows(rows: &TableRows) -> String {
    let TableRows { table, rows, live_rows, live_bytes, error } = rows;
    let size = live_bytes / (1024 * 1024);
    match error {
        Some(error) => format!("{table} ({size} MiB): rows could not be copied: {error}\n"),
        None if rows == live_rows => format!("{table} ({size} MiB): all {rows} rows copied\n"),
        None => {
            format!(
                "{table} ({size} MiB): {rows} of about {live_rows} rows copied; times of all are estimated\n"
            )
        }
    }
}

fn shown(trace: &FileTrace) -> String {
    let statements = trace.statements.iter().map(shown_statement);
    let tables = trace.tables.iter().map(|table| {
        let TableTrace { table, lock, held_millis, estimated_millis, read_wait_millis, write_wait_millis, .. } = table;
        let all = if estimated_millis > held_millis { format!(" (about {estimated_millis} ms for all rows)") } else { String::new() };
        format!("  {table}: {lock} held {held_millis} ms{all}; a reader waited {read_wait_millis} ms, a writer {write_wait_millis} ms\n")
    });
    let beyond = trace.beyond.iter().map(|beyond| format!("  BEYOND {beyond}\n"));
    let error = trace.error.iter().map(|error| format!("  FAILED {error}\n"));
    let details: String = statements.chain(tables).chain(beyond).chain(error).collect();
    format!("{} (lock budget {} ms)\n{details}", trace.name, trace.budget_millis)
}

fn shown_statement(statement: &StatementTrace) -> String {
    let StatementTrace { line, millis, batches, locks, rewritten, read, wal_bytes, .. } = statement;
    let batches = batches.map(|batches| format!(" at most in each of {batches} batches")).unwrap_or_default();
    let locks = locks.iter().map(|lock| format!(", {} on {}", lock.mode, lock.table));
    let read = read.iter().map(|table| format!(", reads all of {table}"));
    let rewritten = rewritten.iter().map(|table| format!(", rewrites {table}"));
    let parts: String = locks.chain(read).chain(rewritten).collect();
    format!("  line {line}: {millis} ms{batches}, {wal_bytes} bytes of WAL{parts}\n")
}
