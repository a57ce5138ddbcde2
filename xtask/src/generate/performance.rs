//! `docs/performance.md`, from the last committed runs of `cargo xtask bench rest`, `schema`, `jobs` and `tenancy`.

mod jobs;
mod tenancy;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

pub(crate) use jobs::tables as jobs_tables;
pub(crate) use tenancy::tables as tenancy_tables;

const EVIDENCE: &str = "docs/evidence/bench-rest.json";
const SCHEMA: &str = "docs/evidence/bench-schema.json";

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
    Ok(format!("{requests}\n{schema}{}{}", jobs::section(root)?, tenancy::section(root)?))
}

fn read(root: &Path, evidence: &str) -> Result<Value> {
    let text =
        std::fs::read_to_string(root.join(evidence)).with_context(|| format!("cannot read {evidence}"))?;
    serde_json::from_str(&text).with_context(|| format!("cannot understand {evidence}"))
}

/// A section from a run's figures; empty before the first complete run.
fn section(root: &Path, evidence: &str, render: impl Fn(&Value) -> Option<String>) -> Result<String> {
    if !root.join(evidence).exists() {
        return Ok(String::new());
    }
    render(&read(root, evidence)?).with_context(|| format!("{evidence} lacks a figure"))
}

/// The command of a run, its date, the revision and the machine.
fn measured_by(run: &Value) -> Option<String> {
    Some(format!(
        "Measured by `{}` on {} at revision `{}`; {} cores, {}.",
        run["command"].as_str()?,
        run["date"].as_str()?.get(..10)?,
        run["revision"].as_str()?.get(..12)?,
        run["machine"]["cpus"].as_str()?,
        run["machine"]["kernel"].as_str()?,
    ))
}

/// The time of reloading a large schema.
fn large_schema(run: &Value) -> Option<String> {
    let mib = |size: &str| Some(run["figures"]["rss_kib"][size].as_f64()? / 1024.0);
    Some(format!(
        "## A large schema\n\n\
         {} tables with as many foreign keys, besides views and functions. A reload runs from `NOTIFY pgrst` to the first\n\
         answer of a table that came with it; the median of {} counts. {} other requests were answered meanwhile. The\n\
         process took {:.1} MiB with the example's schema and {:.1} MiB with the large one. {}\n\n{}",
        run["parameters"]["tables"].as_u64()?,
        run["parameters"]["rounds"].as_u64()?,
        run["figures"]["answers"].as_u64()?,
        mib("small_schema")?,
        mib("large_schema")?,
        measured_by(run)?,
        limits(run)?,
    ))
}

fn render(run: &Value) -> Option<String> {
    Some(format!(
        "<!-- Generated by `cargo xtask gen` from {EVIDENCE}. -->\n# Performance\n\n\
         {}\n\n{}\n## How it is measured\n\n{METHOD}",
        measured_by(run)?,
        tables(run)?,
    ))
}

/// The figures of a run; none if one is missing.
pub(crate) fn tables(run: &Value) -> Option<String> {
    let scenarios: Option<String> = run["scenarios"].as_array()?.iter().map(scenario).collect();
    Some(format!(
        "| scenario | Rowhouse, requests/s | p50 ms | p99 ms | CPU µs: server | PostgreSQL \
         | pgbench, transactions/s | p50 ms | p99 ms | CPU µs: PostgreSQL | ratio | promised, at least |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n{}\n{}",
        scenarios?,
        limits(run)?,
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

fn limits(run: &Value) -> Option<String> {
    let limits: Option<String> = run["limits"].as_array()?.iter().map(limit).collect();
    Some(format!("| | measured | promised, at most |\n|---|---|---|\n{}", limits?))
}

fn limit(limit: &Value) -> Option<String> {
    let (unit, promised) = (limit["unit"].as_str()?, limit["promised"].as_f64()?);
    let promised = (promised * 100.0).round() / 100.0;
    let measured = limit["measured"].as_f64().map_or("not measured".to_owned(), |n| format!("{n} {unit}"));
    Some(format!("| {} | {measured} | {promised} {unit}{} |\n", limit["what"].as_str()?, broken(limit)))
}

fn broken(promise: &Value) -> &'static str {
    if promise["holds"] == true { "" } else { ", broken" }
}
