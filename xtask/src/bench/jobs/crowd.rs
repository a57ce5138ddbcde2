//! Many tenants, and one key with many jobs: neither may slow the others down.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio_postgres::Client;

use super::Effort;
use super::database::Database;
use super::load::{self, By, Counter, Enqueued};
use super::report::{CROWD, CROWD_COMMIT, CROWD_IDLE, JobsReport, KEY};
use super::scenario::{drain, percentile_ms, waits};
use super::worker::Worker;

/// Single enqueues beside many tenants, one after another.
const SINGLY: u32 = 500;
/// Tenants that were idle for a while.
const IDLE: u32 = 20;
const IDLE_PAUSE: Duration = Duration::from_millis(100);
/// Jobs of the one key, and the others' enqueues a second, each with a key of its own.
const OF_ONE_KEY: u32 = 5_000;
const OTHERS: u32 = 500;
/// Jobs enqueued within this time of the first are not judged, in microseconds.
const WARM_UP_US: i64 = 1_000_000;

pub(crate) async fn round(
    database: &Database,
    client: &Client,
    root: &Path,
    effort: &Effort,
    report: &mut JobsReport,
) -> Result<()> {
    if effort.wants(CROWD.what) || effort.wants(CROWD_COMMIT.what) || effort.wants(CROWD_IDLE.what) {
        crowd(database, client, root, effort.tenants, report).await?;
    }
    if effort.wants(KEY.what) {
        let alone = beside_key(database, client, root, effort.seconds, 0).await?;
        let beside = beside_key(database, client, root, effort.seconds, OF_ONE_KEY).await?;
        eprintln!("p99 of the other keys: {alone:.1} ms alone, {beside:.1} ms beside the long one");
        report.add(&KEY, beside / alone);
    }
    Ok(())
}

/// Drains as many jobs of one tenant and of a tenant each; the worker's first reading of the tenants is no part of the pace.
async fn crowd(
    database: &Database,
    client: &Client,
    root: &Path,
    tenants: u32,
    report: &mut JobsReport,
) -> Result<()> {
    load::clear(client).await?;
    for _ in 0..tenants / load::BULK {
        load::enqueue_bulk(client, load::BULK, Some(&tenant(0))).await?;
    }
    drain(database, client, root, tenants / load::BULK * load::BULK, 1).await?;
    let alone = pace(client).await?;
    load::clear(client).await?;
    enqueue_for_each(client, tenants).await?;
    let singly = singly(client, tenants).await?;
    drain(database, client, root, tenants + SINGLY, 1).await?;
    let together = pace(client).await?;
    eprintln!("{alone:.0} jobs/s of one tenant, {together:.0} of {tenants}");
    report.add(&CROWD, together / alone * 100.0);
    let mut commits: Vec<i64> = singly.iter().map(|job| job.committed_at - job.asked_at).collect();
    report.add(&CROWD_COMMIT, percentile_ms(&mut commits, 50));
    report.add(&CROWD_IDLE, idle_tenants(database, client, root, tenants).await?);
    Ok(())
}

/// Jobs a second from the first completion to the last.
async fn pace(client: &Client) -> Result<f64> {
    let sql = "select sum(cardinality(ids)) / extract(epoch from max(finished_at) - min(finished_at))::float8 from jobs.done";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

fn tenant(number: u32) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

async fn enqueue_for_each(client: &Client, tenants: u32) -> Result<()> {
    let sql = "select count(jobs.enqueue('jobs.noop', \
               tenant => ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid)) \
               from generate_series($1::int, $2::int) n";
    for first in (1..=tenants).step_by(load::BULK as usize) {
        let last = tenants.min(first + load::BULK - 1);
        client.query_one(sql, &[&i32::try_from(first)?, &i32::try_from(last)?]).await?;
    }
    Ok(())
}

/// Enqueues of tenants from the first to the last, each a commit.
async fn singly(client: &Client, tenants: u32) -> Result<Vec<Enqueued>> {
    let statement = client.prepare(By::Tenant.sql()).await?;
    let mut all = Vec::new();
    for number in 0..SINGLY {
        let tenant = tenant(number * (tenants / SINGLY) + 1);
        all.push(load::enqueue_one(client, &statement, Some(&tenant)).await?);
    }
    Ok(all)
}

/// The longest wait of an idle tenant's job, in milliseconds, while a worker knows all tenants.
async fn idle_tenants(database: &Database, client: &Client, root: &Path, tenants: u32) -> Result<f64> {
    let statement = client.prepare(By::Tenant.sql()).await?;
    let mut counter = Counter::default();
    let goal = counter.done(client).await? + 1;
    let worker = Worker::start_noting_each(root, database)?;
    // Once this is done the worker has read them.
    load::enqueue_one(client, &statement, Some(&tenant(tenants))).await?;
    counter.wait_for(client, goal).await?;
    let mut all = Vec::new();
    for number in 0..IDLE {
        tokio::time::sleep(IDLE_PAUSE).await;
        let tenant = tenant(number * (tenants / IDLE) + 1);
        all.push(load::enqueue_one(client, &statement, Some(&tenant)).await?);
    }
    counter.wait_for(client, goal + i64::from(IDLE)).await?;
    Ok(percentile_ms(&mut waits(&all, worker)?, 99))
}

/// p99 wait of jobs with a key each, beside so many of one key, once worker and sessions have run for a second: their
/// start delays more jobs than one of a hundred.
async fn beside_key(
    database: &Database,
    client: &Client,
    root: &Path,
    seconds: u32,
    of_one: u32,
) -> Result<f64> {
    load::clear(client).await?;
    let sql = "select count(jobs.enqueue('jobs.noop', key => 'one')) from generate_series(1, $1::int)";
    client.query_one(sql, &[&i32::try_from(of_one)?]).await?;
    let worker = Worker::start_noting_each(root, database)?;
    let keys: Vec<String> = (0..OTHERS).map(|number| format!("other {number}")).collect();
    let mut all = load::trickle(database, OTHERS, seconds, By::Key, &keys).await?;
    let goal = i64::try_from(all.len())? + i64::from(of_one);
    Counter::default().wait_for(client, goal).await?;
    let first = all.iter().map(|job| job.asked_at).min().unwrap_or_default();
    all.retain(|job| job.asked_at - first >= WARM_UP_US);
    Ok(percentile_ms(&mut waits(&all, worker)?, 99))
}
