//! Sign-ins with a password: what they cost beside the hash, and what fifty of them leave to the data API.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::chain;
use super::cost::TokenCost;
use super::{CONNECTIONS, read_user, shown};
use crate::bench::pgbench::{Pgbench, Repeat};
use crate::bench::report::Limit;
use crate::bench::scenario::{fill_todos, twenty_rows};
use crate::bench::server::{Server, User};
use crate::bench::wrk::Wrk;
use crate::bench::{Effort, Measured};

/// Sign-ins one after the other.
const LOGINS: u32 = 40;
/// Rounds of them, of which the median counts.
const ROUNDS: u32 = 5;
/// Sign-ins in flight beside reads.
const IN_FLIGHT: u32 = 50;
/// Connections that send reads at a rate.
const READERS: u32 = 32;

/// CPU against the hash, and latency over hash, one read and one commit. The hash is measured again before each round, since
/// a shared machine does not keep its pace; what the server uses while nobody signs in is taken off.
pub(super) async fn alone(server: &Server, root: &Path, user: &User) -> Result<Vec<Limit>> {
    let client = reqwest::Client::new();
    for _ in 0..3 {
        sign_in(&client, server.url()).await?;
    }
    let (mut cpu, mut rest) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let hash_us = TokenCost::measure(root)?.hash_us;
        let (read_ms, commit_ms) = statements(server, user)?;
        let idle = idle_share(server).await?;
        let logins = logins(server, &client).await?;
        let own_us = logins.cpu_us - idle * logins.mean_ms * 1000.0;
        eprintln!(
            "login: {:.2} ms, {own_us:.0} µs of CPU; the hash: {hash_us:.0} µs, a read {read_ms:.2} ms, a commit {commit_ms:.2} ms",
            logins.p50_ms
        );
        cpu.push(own_us / hash_us);
        rest.push(logins.p50_ms - hash_us / 1000.0 - read_ms - commit_ms);
    }
    Ok(vec![
        limit("CPU of a login, against its hash alone", "×", 1.05, cpu),
        limit("a login beyond hash, one read and one commit", "ms", 2.0, rest),
    ])
}

/// The median of the rounds.
fn limit(what: &'static str, unit: &'static str, most: f64, mut rounds: Vec<f64>) -> Limit {
    rounds.sort_unstable_by(f64::total_cmp);
    Limit { what, unit, most, measured: rounds.get(rounds.len() / 2).copied().and_then(shown) }
}

/// What one read and one commit take, in milliseconds.
fn statements(server: &Server, user: &User) -> Result<(f64, f64)> {
    let pgbench = Pgbench::of_login(server, "rowhouse", 1)?;
    let (script, variables) = read_user(user);
    let read = pgbench.run_text(&script, &variables, Repeat::Seconds(2))?;
    chain::rewind(server)?;
    let commit = pgbench.run_text(&chain::script(), &chain::start(), Repeat::Seconds(2))?;
    Ok((read.p50_ms, commit.p50_ms))
}

/// The share of a core that the server takes while nobody asks it anything.
async fn idle_share(server: &Server) -> Result<f64> {
    let processes = server.processes()?;
    let (before, started) = (processes.cpu_time()?, Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(processes.cpu_time()?.since(before).server_us as f64 / started.elapsed().as_micros() as f64)
}

/// What one of a row of logins took.
struct Logins {
    p50_ms: f64,
    mean_ms: f64,
    cpu_us: f64,
}

async fn logins(server: &Server, client: &reqwest::Client) -> Result<Logins> {
    let processes = server.processes()?;
    let before = processes.cpu_time()?;
    let mut took = Vec::new();
    for _ in 0..LOGINS {
        let started = Instant::now();
        sign_in(client, server.url()).await?;
        took.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let cpu_us = processes.cpu_time()?.since(before).server_us as f64 / f64::from(LOGINS);
    took.sort_unstable_by(f64::total_cmp);
    let p50_ms = took.get(took.len() / 2).copied().context("no sign-in")?;
    Ok(Logins { p50_ms, mean_ms: took.iter().sum::<f64>() / f64::from(LOGINS), cpu_us })
}

async fn sign_in(client: &reqwest::Client, url: &str) -> Result<()> {
    let body = json!({ "email": "bench@example.com", "password": "correct horse" });
    let request = client.post(format!("{url}/auth/v1/token?grant_type=password")).json(&body);
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

/// p99 of reads at a fifth of what the server can do, while fifty sign-ins are in flight.
pub(super) async fn beside_reads(server: &Server, wrk: &Wrk, user: &User, effort: &Effort) -> Result<Limit> {
    fill_todos(server, user).await?;
    wrk.run(&twenty_rows(), CONNECTIONS, 2)?;
    let most = wrk.run(&twenty_rows(), CONNECTIONS, effort.seconds)?;
    let rate = most.per_second / 5.0;
    let pause_ms = (f64::from(READERS) * 1000.0 / rate).round() as u32;
    let reads = || wrk.run_paused(&twenty_rows(), READERS, effort.seconds.max(10), pause_ms);
    let idle = reads()?;
    let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let logins: Vec<_> = (0..IN_FLIGHT)
        .map(|_| tokio::spawn(keep_signing_in(server.url().to_owned(), is_over.clone(), done.clone())))
        .collect();
    let busy = tokio::task::block_in_place(reads);
    is_over.store(true, Ordering::Relaxed);
    for login in logins {
        login.await??;
    }
    let busy: Measured = busy?;
    eprintln!(
        "reads: {:.0} a second at most, {:.0} idle with p99 {:.2} ms, {:.0} beside {} logins with p99 {:.2} ms",
        most.per_second,
        idle.per_second,
        idle.p99_ms,
        busy.per_second,
        done.load(Ordering::Relaxed),
        busy.p99_ms
    );
    let allowed = (idle.p99_ms * 2.0).max(idle.p99_ms + 5.0);
    Ok(Limit {
        what: "p99 of reads beside 50 logins in flight",
        unit: "ms",
        most: shown(allowed).unwrap_or(0.0),
        measured: shown(busy.p99_ms),
    })
}

async fn keep_signing_in(url: String, is_over: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Result<()> {
    let client = reqwest::Client::new();
    while !is_over.load(Ordering::Relaxed) {
        sign_in(&client, &url).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
