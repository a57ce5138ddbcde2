//! Formats jobs for people.

use comfy_table::{Table, presets};
use serde_json::Value;

use super::field;

/// Longest text in a column.
const WIDEST: usize = 60;

pub(super) fn list(jobs: &[Value]) -> String {
    if jobs.is_empty() {
        return "no jobs".to_owned();
    }
    table(&["id", "state", "queue", "kind", "attempts", "at", "error"], jobs)
}

pub(super) fn stats(kinds: &[Value]) -> String {
    if kinds.is_empty() {
        return "nothing has ever been enqueued".to_owned();
    }
    let columns = [
        "queue",
        "kind",
        "ready",
        "oldest_ready_seconds",
        "running",
        "scheduled",
        "waiting",
        "dead",
        "done_per_minute",
        "paused",
    ];
    table(&columns, kinds)
}

fn table(columns: &[&str], rows: &[Value]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(columns.iter().map(|column| column.replace('_', " ")));
    for row in rows {
        table.add_row(columns.iter().map(|column| short(&field(row, column))));
    }
    table.to_string()
}

fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// One line per known field, then the log.
pub(super) fn job(job: &Value) -> String {
    let names = [
        "id",
        "state",
        "queue",
        "kind",
        "tenant",
        "priority",
        "enqueued_at",
        "at",
        "attempts",
        "max_attempts",
        "worker",
        "request_id",
        "key",
        "unique_key",
        "parent",
        "waiting_for",
        "error",
        "payload",
        "result",
    ];
    let mut text: String = names
        .iter()
        .map(|name| (name, field(job, name)))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{:<13} {value}\n", name.replace('_', " ")))
        .collect();
    let progress = &job["progress"];
    if !progress.is_null() {
        let percent = progress["percent"].as_f64().unwrap_or_default();
        text.push_str(&format!("{:<13} {percent:.0} % {}\n", "progress", field(progress, "note")));
    }
    for line in job["log"].as_array().into_iter().flatten() {
        let (at, attempt) = (field(line, "at"), field(line, "attempt"));
        text.push_str(&format!("{at} run {attempt}: {}\n", field(line, "line")));
    }
    text
}

#[cfg(test)]
mod tests;
