//! A large import over HTTP against `insert … select` of the same rows by the same role.

use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;

use super::pgbench::{Pgbench, Repeat};
use super::scenario::{EMPTY, Request, entries};
use super::script::Script;
use super::server::{Server, User};

/// Rows of the import; `bench.entries` holds the same.
const ROWS: usize = 100_000;
const INSERT: &str = "insert into public.entries (title, done) select title, done from bench.entries";

/// The time of the import as a multiple of the statement's: the medians of `rounds`, taken in turns.
pub(crate) async fn times_of_insert(
    server: &Server,
    user: &User,
    pgbench: &Pgbench,
    rounds: u32,
) -> Result<f64> {
    let lines: String = entries(ROWS).iter().map(|entry| format!("{entry}\n")).collect();
    let lines = Bytes::from(lines);
    let script = Script::of_statement(INSERT, &Request::post("entries", &entries(1).into()), server, user)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("import: round {round} of {rounds}");
        server.run_as_superuser(EMPTY)?;
        ours.push(import(server, user, lines.clone()).await?);
        server.run_as_superuser(EMPTY)?;
        theirs.push(pgbench.run(&script, Repeat::Once)?.p50_ms);
    }
    let (ours, theirs) = (middle(ours)?, middle(theirs)?);
    eprintln!("import: {ours:.0} ms; insert … select: {theirs:.0} ms");
    Ok(ours / theirs)
}

/// Milliseconds from the first byte sent to the end of the answer.
async fn import(server: &Server, user: &User, lines: Bytes) -> Result<f64> {
    let started = Instant::now();
    let post = |http: &reqwest::Client, url: &str| {
        http.post(format!("{url}/rest/v1/entries")).header("content-type", "application/x-ndjson").body(lines)
    };
    server.exchange(user, post).await?.bytes().await?;
    Ok(started.elapsed().as_secs_f64() * 1000.0)
}

fn middle(mut all: Vec<f64>) -> Result<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().context("no round was measured")
}
