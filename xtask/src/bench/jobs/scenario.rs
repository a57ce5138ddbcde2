//! Scenarios of Rowhouse's own queue.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_postgres::Client;

use super::Effort;
use super::crowd;
use super::database::Database;
use super::load::{self, By, Counter, Enqueued};
use super::report::{
    BUSY, COMMIT_P50, COMMIT_P99, DRAINED, DRAINED_BY_TWO, ENQUEUED_BULK, ENQUEUED_SINGLY, Figure, HELD,
    JobsReport, NOISE, WAIT_P50, WAIT_P99, WAL,
};
use super::worker::Worker;

/// Single enqueues a second while waits are measured.
const TRICKLE: u32 = 1_000;
/// Clients that enqueue singly as fast as they can.
const CLIENTS: u32 = 32;
/// The quiet tenants' enqueues a second, and nine times as many of the noisy one's, at the start of each second.
const QUIET: u32 = 500;
const NOISY: u32 = 9 * QUIET;
const TENANTS: u32 = 9;

/// Runs each measurement once.
pub(crate) async fn round(
    database: &Database,
    root: &Path,
    effort: &Effort,
    report: &mut JobsReport,
) -> Result<()> {
    let client = database.client().await?;
    if effort.wants(DRAINED.what) || effort.wants(HELD.what) {
        report.add(&DRAINED, drained(database, &client, root, effort.jobs, 1).await?);
    }
    if effort.wants(DRAINED_BY_TWO.what) {
        report.add(&DRAINED_BY_TWO, drained(database, &client, root, effort.jobs, 2).await?);
    }
    if effort.wants(BUSY.what) {
        report.add(&BUSY, busy(database, &client, root, effort.seconds).await?);
    }
    if effort.wants(WAIT_P50.what) || effort.wants(WAIT_P99.what) {
        wait_when_idle(database, &client, root, effort, report).await?;
    }
    if effort.wants(NOISE.what) {
        report.add(&NOISE, noise(database, &client, root, effort.seconds).await?);
    }
    if effort.wants(WAL.what) {
        report.add(&WAL, wal(database, &client, root, effort.jobs).await?);
    }
    enqueue(database, &client, effort, report).await?;
    crowd::round(database, &client, root, effort, report).await
}

/// Jobs a second from the first claim to the last completion, of jobs that all were there before.
async fn drained(database: &Database, client: &Client, root: &Path, jobs: u32, workers: u32) -> Result<f64> {
    load::clear(client).await?;
    load::enqueue(client, jobs).await?;
    drain(database, client, root, jobs, workers).await
}

pub(crate) async fn drain(
    database: &Database,
    client: &Client,
    root: &Path,
    jobs: u32,
    workers: u32,
) -> Result<f64> {
    let mut counter = Counter::default();
    let goal = counter.done(client).await? + i64::from(jobs);
    let mut running = vec![Worker::start(root, database)?];
    let started = Instant::now();
    for _ in 1..workers {
        running.push(Worker::start(root, database)?);
    }
    counter.wait_for(client, goal).await?;
    let rate = f64::from(jobs) / started.elapsed().as_secs_f64();
    running.into_iter().try_for_each(Worker::stop)?;
    Ok(rate)
}

/// Jobs done a second while another connection enqueues in bulk as fast as it can.
async fn busy(database: &Database, client: &Client, root: &Path, seconds: u32) -> Result<f64> {
    load::clear(client).await?;
    load::enqueue(client, 10 * load::BULK).await?;
    let worker = Worker::start(root, database)?;
    let other = database.client().await?;
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(u64::from(seconds)) {
        load::enqueue_bulk(&other, load::BULK, None).await?;
    }
    let rate = Counter::default().done(client).await? as f64 / started.elapsed().as_secs_f64();
    worker.stop()?;
    Ok(rate)
}

async fn wait_when_idle(
    database: &Database,
    client: &Client,
    root: &Path,
    effort: &Effort,
    report: &mut JobsReport,
) -> Result<()> {
    load::clear(client).await?;
    let worker = Worker::start_noting_each(root, database)?;
    let all = load::trickle(database, TRICKLE, effort.seconds, By::Tenant, &[]).await?;
    Counter::default().wait_for(client, i64::try_from(all.len())?).await?;
    let mut waits = waits(&all, worker)?;
    let mut commits: Vec<i64> = all.iter().map(|job| job.committed_at - job.asked_at).collect();
    report.add(&WAIT_P50, percentile_ms(&mut waits, 50));
    report.add(&WAIT_P99, percentile_ms(&mut waits, 99));
    report.add(&COMMIT_P50, percentile_ms(&mut commits, 50));
    report.add(&COMMIT_P99, percentile_ms(&mut commits, 99));
    Ok(())
}

/// From commit to start, in microseconds; both are on this machine's clock.
pub(crate) fn waits(all: &[Enqueued], worker: Worker) -> Result<Vec<i64>> {
    let starts = worker.stop_with_starts()?;
    // It may start before its enqueuer has read the answer.
    let wait = |job: &Enqueued| Some((starts.get(&job.id)? - job.committed_at).max(0));
    all.iter().map(|job| wait(job).context("a job that did not run")).collect()
}

pub(crate) fn percentile_ms(micros: &mut [i64], percent: usize) -> f64 {
    micros.sort_unstable();
    micros.get(micros.len() * percent / 100).map_or(f64::NAN, |us| *us as f64 / 1000.0)
}

/// By what the quiet tenants' p99 grows when another produces nine tenths of the load.
async fn noise(database: &Database, client: &Client, root: &Path, seconds: u32) -> Result<f64> {
    let tenants: Vec<String> =
        (1..=TENANTS).map(|number| format!("00000000-0000-0000-0000-{number:012}")).collect();
    let alone = quiet_p99(database, client, root, seconds, &tenants, false).await?;
    let disturbed = quiet_p99(database, client, root, seconds, &tenants, true).await?;
    eprintln!("p99 of the quiet tenants: {alone:.1} ms alone, {disturbed:.1} ms beside the noisy one");
    Ok(disturbed / alone)
}

async fn quiet_p99(
    database: &Database,
    client: &Client,
    root: &Path,
    seconds: u32,
    tenants: &[String],
    noisy: bool,
) -> Result<f64> {
    load::clear(client).await?;
    let worker = Worker::start_noting_each(root, database)?;
    let noise = async {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        for _ in 0..if noisy { seconds + 1 } else { 0 } {
            tick.tick().await;
            load::enqueue_bulk(client, NOISY, Some("00000000-0000-0000-0000-00000000ffff")).await?;
        }
        Ok(())
    };
    let (all, ()) = tokio::try_join!(load::trickle(database, QUIET, seconds, By::Tenant, tenants), noise)?;
    let idle = "select not exists (select from jobs.ready) and not exists (select from jobs.leases)";
    while !client.query_one(idle, &[]).await?.get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(percentile_ms(&mut waits(&all, worker)?, 99))
}

/// Bytes of WAL per job from enqueue to done, autovacuum's included, without images of whole pages.
async fn wal(database: &Database, client: &Client, root: &Path, jobs: u32) -> Result<f64> {
    client.batch_execute("alter system set full_page_writes = off").await?;
    client.batch_execute("select pg_reload_conf()").await?;
    load::clear(client).await?;
    let position = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint";
    let before: i64 = client.query_one(position, &[]).await?.get(0);
    load::enqueue(client, jobs).await?;
    let enqueued: i64 = client.query_one(position, &[]).await?.get(0);
    drain(database, client, root, jobs, 1).await?;
    let after: i64 = client.query_one(position, &[]).await?.get(0);
    client.batch_execute("alter system reset full_page_writes").await?;
    client.batch_execute("select pg_reload_conf()").await?;
    let each = |bytes: i64| bytes as f64 / f64::from(jobs);
    eprintln!(
        "WAL per job: {:.0} B to enqueue, {:.0} B to run",
        each(enqueued - before),
        each(after - enqueued)
    );
    Ok(each(after - before))
}

async fn enqueue(
    database: &Database,
    client: &Client,
    effort: &Effort,
    report: &mut JobsReport,
) -> Result<()> {
    if effort.wants(ENQUEUED_SINGLY.what) {
        load::clear(client).await?;
        let rate = database.pgbench("select jobs.enqueue('jobs.noop')", CLIENTS, effort.seconds)?;
        report.add(&ENQUEUED_SINGLY, rate);
    }
    if effort.wants(ENQUEUED_BULK.what) {
        load::clear(client).await?;
        report.add(&ENQUEUED_BULK, load::enqueue(client, effort.jobs).await?);
    }
    Ok(())
}

/// Drains again and again while a snapshot is held open, so that nothing can be vacuumed, and compares with draining
/// without one just before and after. The second half counts, when there are many dead rows.
pub(crate) async fn held_snapshot(
    database: &Database,
    root: &Path,
    effort: &Effort,
    report: &mut JobsReport,
) -> Result<()> {
    if !effort.wants(HELD.what) {
        return Ok(());
    }
    let (client, holder) = (database.client().await?, database.client().await?);
    load::clear(&client).await?;
    let worker = Worker::start(root, database)?;
    let (mut free, mut counter) = (Vec::new(), Counter::default());
    for _ in 0..effort.rounds {
        free.push(paused_then_drained(&client, &mut counter, effort.jobs).await?);
    }
    holder.batch_execute("begin isolation level repeatable read; select count(*) from jobs.kinds").await?;
    let (started, length) = (Instant::now(), Duration::from_secs_f64(effort.snapshot_minutes * 60.0));
    let mut held = Vec::new();
    while held.is_empty() || started.elapsed() < length {
        held.push(paused_then_drained(&client, &mut counter, effort.jobs).await?);
        eprintln!("held for {:.0} s: {:.0} jobs/s", started.elapsed().as_secs_f64(), held[held.len() - 1]);
    }
    holder.batch_execute("commit").await?;
    holder.batch_execute("vacuum jobs.ready").await?;
    for _ in 0..effort.rounds {
        free.push(paused_then_drained(&client, &mut counter, effort.jobs).await?);
    }
    worker.stop()?;
    eprintln!("without: {free:.0?}");
    let late = held.split_off(held.len() / 2);
    let share = Figure::median(&late).zip(Figure::median(&free)).map(|(held, free)| held / free * 100.0);
    report.add(&HELD, share.context("nothing was drained")?);
    Ok(())
}

/// Pauses a running worker while jobs are enqueued; then jobs a second from the first completion to the last.
async fn paused_then_drained(client: &Client, counter: &mut Counter, jobs: u32) -> Result<f64> {
    client.batch_execute("update jobs.queues set paused = true where name = 'default'").await?;
    // Workers hear of it with their next beat, within a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let last: i64 = client.query_one("select coalesce(max(id), 0) from jobs.done", &[]).await?.get(0);
    let goal = counter.done(client).await? + i64::from(jobs);
    load::enqueue(client, jobs).await?;
    client.batch_execute("update jobs.queues set paused = false where name = 'default'").await?;
    counter.wait_for(client, goal).await?;
    let took =
        "select extract(epoch from max(finished_at) - min(finished_at))::float8 from jobs.done where id > $1";
    Ok(f64::from(jobs) / client.query_one(took, &[&last]).await?.get::<_, f64>(0))
}
