//! `docs/performance.md`, from the last committed runs of `cargo xtask bench rest`, `schema`, `jobs` and `tenancy`.

mod tenancy;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

pub(crate) use tenancy::tables as tenancy_tables;

const EVIDENCE: &str = "docs/evidence/bench-rest.json";
const SCHEMA: &str = "docs/evidence/bench-schema.json";

const JOBS_EVIDENCE: &str = "docs/evidence/bench-jobs.json";

const JOBS_METHOD: &str = "\
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

const METHOD: &str = "\
Each scenario is an HTTP request with a real ES256 token against tables under row-level security, in a tenant with 20
todos and one account of 5 projects with 3 tasks each. The other side is `pgbench -M prepared` with 8 clients on the same
server, over the same unix socket, running the transaction that the request becomes: `begin`, the identical list of
settings with the look-up of the live session, the query with the same parameters, `commit`. `rowhouse rest explain`
prints both statements. Both sides take turns in one run, and the median of the rounds counts. wrk keeps 16 requests in
flight from one thread; the load generator, the server and PostgreSQL share the machine's cores, so the ratio is what
carries over to another machine, not the number of requests.

The ratio can exceed 1 although HTTP comes on top, because a request is one round trip to PostgreSQL where the
transaction is four, and because reads that had to wait for a connection share a round trip, up to four of them. The
more a query costs by itself, the nearer the ratio comes to 1.

CPU is the user and system time of the server's process, and of PostgreSQL's postmaster with all its backends, during a
measurement, divided by the requests or transactions answered in it.

Shared sends are switched off by `db.shared_sends` and measured in turns, 64 requests in flight, with a fresh process each
time. Reads over TLS and over plain text, 16 in flight, go over TCP on loopback to a PostgreSQL with an authority of its own
(`sslmode=verify-full`, TLS 1.3). Two processes run at the same time and are loaded in turns for a second each; the median of
the ratios of neighbouring seconds counts. `cargo xtask bench rest --only \"shared sends\"` and `--tls` measure these alone.

The import is timed from the first byte sent to the end of the answer. It takes turns with `insert … select` of the same
rows by the same role in the same context, into the same table, emptied before each. Peak memory is what the kernel
reports as `VmHWM` of a fresh process of the server, without PostgreSQL's.

A p99 far above the p50 is real: with more busy PostgreSQL backends than cores, the kernel sometimes leaves one of them
waiting for a while. A smaller `db.data_pool_size` (4 or 5 on two cores) evens that out (2 to 4 ms) and costs some
throughput.

`cargo xtask bench rest --only embedded` measures only what has the word in its name, and prints without keeping.
";

/// The page's text.
pub(super) fn page(root: &Path) -> Result<String> {
    let (requests, schema) = (read(root, EVIDENCE)?, read(root, SCHEMA)?);
    let requests = render(&requests).with_context(|| format!("{EVIDENCE} lacks a figure"))?;
    let schema = large_schema(&schema).with_context(|| format!("{SCHEMA} lacks a figure"))?;
    Ok(format!("{requests}\n{schema}{}{}", jobs(root)?, tenancy::section(root)?))
}

fn read(root: &Path, evidence: &str) -> Result<Value> {
    let text =
        std::fs::read_to_string(root.join(evidence)).with_context(|| format!("cannot read {evidence}"))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {evidence}"))
}

/// The time of reloading a large schema.
fn large_schema(run: &Value) -> Option<String> {
    let limits: Option<String> = run["limits"].as_array()?.iter().map(limit).collect();
    let mib = |size: &str| Some(run["figures"]["rss_kib"][size].as_f64()? / 1024.0);
    Some(format!(
        "## A large schema\n\n\
         {} tables with as many foreign keys, besides views and functions. A reload runs from `NOTIFY pgrst` to the first\n\
         answer of a table that came with it; the median of {} counts. {} other requests were answered meanwhile. The\n\
         process took {:.1} MiB with the example's schema and {:.1} MiB with the large one. Measured by `{}` on {} at\n\
         revision `{}`.\n\n\
         | | measured | promised, at most |\n|---|---|---|\n{}",
        run["parameters"]["tables"].as_u64()?,
        run["parameters"]["rounds"].as_u64()?,
        run["figures"]["answers"].as_u64()?,
        mib("small_schema")?,
        mib("large_schema")?,
        run["command"].as_str()?,
        run["date"].as_str()?.get(..10)?,
        run["revision"].as_str()?.get(..12)?,
        limits?,
    ))
}

fn render(run: &Value) -> Option<String> {
    Some(format!(
        "<!-- Generated by `cargo xtask gen` from {EVIDENCE}. -->\n# Performance\n\n\
         Measured by `{}` on {} at revision `{}`; {} cores, {}.\n\n{}\n\
         ## How it is measured\n\n{METHOD}",
        run["command"].as_str()?,
        run["date"].as_str()?.get(..10)?,
        run["revision"].as_str()?.get(..12)?,
        run["machine"]["cpus"].as_str()?,
        run["machine"]["kernel"].as_str()?,
        tables(run)?,
    ))
}

/// The figures of jobs; empty before the first complete run.
fn jobs(root: &Path) -> Result<String> {
    if !root.join(JOBS_EVIDENCE).exists() {
        return Ok(String::new());
    }
    let run = read(root, JOBS_EVIDENCE)?;
    jobs_section(&run).with_context(|| format!("{JOBS_EVIDENCE} lacks a figure"))
}

fn jobs_section(run: &Value) -> Option<String> {
    Some(format!(
        "\n## Jobs\n\nMeasured by `{}` on {} at revision `{}`; {} cores, {}.\n\n{}\n{JOBS_METHOD}",
        run["command"].as_str()?,
        run["date"].as_str()?.get(..10)?,
        run["revision"].as_str()?.get(..12)?,
        run["machine"]["cpus"].as_str()?,
        run["machine"]["kernel"].as_str()?,
        jobs_tables(run)?,
    ))
}

/// The figures of a run; none if one is missing.
pub(crate) fn tables(run: &Value) -> Option<String> {
    let scenarios: Option<String> = run["scenarios"].as_array()?.iter().map(scenario).collect();
    let limits: Option<String> = run["limits"].as_array()?.iter().map(limit).collect();
    Some(format!(
        "| scenario | Rowhouse, requests/s | p50 ms | p99 ms | CPU µs: server | PostgreSQL \
         | pgbench, transactions/s | p50 ms | p99 ms | CPU µs: PostgreSQL | ratio | promised, at least |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n{}\n\
         | | measured | promised, at most |\n|---|---|---|\n{}",
        scenarios?, limits?,
    ))
}

fn scenario(scenario: &Value) -> Option<String> {
    let (ours, pgbench) = (&scenario["rowhouse"], &scenario["pgbench"]);
    Some(format!(
        "| {} | {} | {:.0} | {:.0} | {} | {:.0} | **{:.2}** | {:.1}{} |\n",
        scenario["scenario"].as_str()?,
        pace(ours)?,
        ours["server_cpu_us"].as_f64()?,
        ours["postgres_cpu_us"].as_f64()?,
        pace(pgbench)?,
        pgbench["postgres_cpu_us"].as_f64()?,
        scenario["ratio"].as_f64()?,
        scenario["promised"].as_f64()?,
        broken(scenario),
    ))
}

fn pace(side: &Value) -> Option<String> {
    let number = |name: &str| side[name].as_f64();
    Some(format!("{:.0} | {:.2} | {:.2}", number("per_second")?, number("p50_ms")?, number("p99_ms")?))
}

fn limit(limit: &Value) -> Option<String> {
    let (unit, promised) = (limit["unit"].as_str()?, limit["promised"].as_f64()?);
    let measured = limit["measured"].as_f64().map_or("not measured".to_owned(), |n| format!("{n} {unit}"));
    Some(format!("| {} | {measured} | {promised} {unit}{} |\n", limit["what"].as_str()?, broken(limit)))
}

fn broken(promise: &Value) -> &'static str {
    if promise["holds"] == true { "" } else { ", broken" }
}

/// The figures of a run of `bench jobs`; none if one is missing.
pub(crate) fn jobs_tables(run: &Value) -> Option<String> {
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
