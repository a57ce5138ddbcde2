//! The figures of `cargo xtask bench jobs`.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{broken, measured_by};

const EVIDENCE: &str = "docs/evidence/bench-jobs.json";

const METHOD: &str = "\
A job is `jobs.noop`: a durable row, enqueued through `jobs.enqueue` or `jobs.enqueue_many`, claimed, handed to a Rust
handler that does nothing, and completed, by the worker's release build in a process of its own. PostgreSQL runs as `up`
starts it, with `fsync` and `synchronous_commit` on. Enqueuer, worker and PostgreSQL share the machine's cores. The median
of the rounds counts.

- Drained: the jobs are there before the worker starts; the clock runs from its first claim to the last completion. Claims
  are not flushed one by one (a claim that a crash undoes has left its jobs in place), completions are.
- During bulk enqueueing: another connection enqueues 1,000 at a time without pause, which takes its share of the cores.
- Beside a held snapshot: one repeatable-read transaction stays open, so nothing that was deleted can be vacuumed. The
  median of the later half of all drains meanwhile, against that of drains just before and after in the same worker.
- Commit to start: 32 connections call `jobs.enqueue` 1,000 times a second together. The wait runs from when a caller has
  the answer to its commit to when the handler is called; the caller's own commit is shown apart, because it is the disk's.
- Noisy tenant: nine tenants enqueue 500 jobs a second together; beside them one enqueues 4,500 at the start of each second.
- WAL: the distance the log has moved from before enqueueing to after the last completion, vacuum's records included,
  with `full_page_writes` off for this measurement alone.

With `--peers` the other queues drain the same number of jobs (pg-boss a half, BullMQ an eighth, graphile-worker as it comes
a twentieth) in a fresh database of the same server, in turns with ours; BullMQ in a Redis of its own on the same disk. Their versions
are in `xtask/peers/jobs/package.json`. graphile-worker: 24 at once, a local queue of 500, completions in batches; and 24 at
once with nothing else changed. pg-boss: four loops of `fetch` and `complete` with 200 each, no polling pause. BullMQ: 50 at
once, `removeOnComplete`. Each enqueues 1,000 in a call.
";

/// Empty before the first complete run.
pub(super) fn section(root: &Path) -> Result<String> {
    super::section(root, EVIDENCE, render)
}

fn render(run: &Value) -> Option<String> {
    Some(format!("\n## Jobs\n\n{}\n\n{}\n{METHOD}", measured_by(run)?, tables(run)?))
}

/// The figures of a run; none if one is missing.
pub(crate) fn tables(run: &Value) -> Option<String> {
    let figures: Option<String> = run["figures"].as_array()?.iter().map(figure).collect();
    let peers: Option<String> = run["peers"].as_array()?.iter().map(peer).collect();
    let peers = peers.filter(|rows| !rows.is_empty()).map_or(String::new(), |rows| {
        format!(
            "\n| on the same machine | drained, jobs/s | enqueued in bulk, jobs/s |\n|---|---|---|\n{rows}"
        )
    });
    let ratio = &run["ratio"];
    let ratio = ratio["measured"].as_f64().map_or(String::new(), |measured| {
        let promised = ratio["promised"].as_f64().unwrap_or_default();
        format!("\nRowhouse drains **{measured}** times what the fastest of these does; promised: {promised}{}.\n", broken(ratio))
    });
    Some(format!("| | measured | promised |\n|---|---|---|\n{}{peers}{ratio}", figures?))
}

fn figure(figure: &Value) -> Option<String> {
    let (unit, promised) = (figure["unit"].as_str()?, &figure["promised"]);
    let measured = figure["measured"].as_f64().map_or("not measured".to_owned(), |n| format!("{n} {unit}"));
    let least = promised["at_least"].as_f64().map(|least| format!("at least {least} {unit}"));
    let most = promised["at_most"].as_f64().map(|most| format!("at most {most} {unit}"));
    let promised = least.or(most).unwrap_or_else(|| "–".to_owned());
    Some(format!("| {} | {measured} | {promised}{} |\n", figure["what"].as_str()?, broken(figure)))
}

fn peer(peer: &Value) -> Option<String> {
    let rate = |name: &str| peer[name].as_f64().map_or("not measured".to_owned(), |rate| format!("{rate}"));
    let name = peer["peer"].as_str()?;
    Some(format!("| {name} | {} | {} |\n", rate("drained_per_second"), rate("enqueued_per_second")))
}
