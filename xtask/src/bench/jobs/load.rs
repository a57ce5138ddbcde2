//! Enqueueing at a pace, and waiting until it is done.

use std::time::{Duration, Instant};

use anyhow::Result;
use rowhouse_kernel::{Clock as _, SystemClock};
use tokio_postgres::{Client, Statement};

use super::database::Database;

/// Jobs per statement where they are enqueued in bulk.
pub(crate) const BULK: u32 = 1_000;
/// Connections that share a load of single enqueues: one alone would wait for its commits.
const CONNECTIONS: u32 = 32;
/// Longer than any measurement should take.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Empties the tables. The partitions go too: a measurement must not run beside another's tenants.
pub(crate) async fn clear(client: &Client) -> Result<()> {
    let tables = "jobs.ready, jobs.leases, jobs.done, jobs.scheduled, jobs.partitions, jobs.key_cursors";
    client.batch_execute(&format!("truncate {tables}")).await?;
    client.batch_execute("checkpoint").await?;
    Ok(())
}

/// Enqueues `count` jobs in bulk, each statement a commit; how many a second.
pub(crate) async fn enqueue(client: &Client, count: u32) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..count / BULK {
        enqueue_bulk(client, BULK, None).await?;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

pub(crate) async fn enqueue_bulk(client: &Client, count: u32, tenant: Option<&str>) -> Result<()> {
    let sql = "select count(*) from jobs.enqueue_many('jobs.noop', array_fill('{}'::jsonb, array[$1::int]), \
               tenant => $2::text::uuid)";
    let statement = client.prepare(sql).await?;
    client.query_one(&statement, &[&i32::try_from(count)?, &tenant]).await?;
    Ok(())
}

/// Counts done jobs at a constant cost, since counting all of them would slow down the measurement.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    /// Jobs in batches that are counted already, and where the others begin.
    behind: i64,
    from: i64,
}

impl Counter {
    /// Numbers are drawn before a batch is visible; so many after the last that was seen are settled.
    const UNSURE: i64 = 64;

    /// Jobs done so far.
    pub(crate) async fn done(&mut self, client: &Client) -> Result<i64> {
        let sql = "select id, cardinality(ids)::bigint from jobs.done where id > $1 order by id";
        let batches: Vec<(i64, i64)> =
            client.query(sql, &[&self.from]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
        let count = self.behind + batches.iter().map(|(_, jobs)| jobs).sum::<i64>();
        let sure = batches.last().map_or(self.from, |(last, _)| last - Self::UNSURE);
        self.behind += batches.iter().filter(|(id, _)| *id <= sure).map(|(_, jobs)| jobs).sum::<i64>();
        self.from = self.from.max(sure);
        Ok(count)
    }

    /// Waits until so many are done.
    pub(crate) async fn wait_for(&mut self, client: &Client, count: i64) -> Result<()> {
        let started = Instant::now();
        loop {
            let done = self.done(client).await?;
            if done >= count {
                return Ok(());
            }
            anyhow::ensure!(started.elapsed() < TIMEOUT, "only {done} of {count} are done");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A single enqueue as its caller saw it, in microseconds of Unix time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enqueued {
    pub(crate) id: i64,
    pub(crate) asked_at: i64,
    pub(crate) committed_at: i64,
}

/// How single enqueues are grouped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Tenant,
    Key,
}

impl By {
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Tenant => "select jobs.enqueue('jobs.noop', tenant => $1::text::uuid)",
            Self::Key => "select jobs.enqueue('jobs.noop', key => $1::text)",
        }
    }
}

/// One enqueue of this tenant or key, or (null) of none.
pub(crate) async fn enqueue_one(
    client: &Client,
    statement: &Statement,
    value: Option<&str>,
) -> Result<Enqueued> {
    let asked_at = now_us();
    let id = client.query_one(statement, &[&value]).await?.get(0);
    Ok(Enqueued { id, asked_at, committed_at: now_us() })
}

/// Single enqueues, `rate` a second over all tenants or keys in turn (none: for no tenant, without a key).
pub(crate) async fn trickle(
    database: &Database,
    rate: u32,
    seconds: u32,
    by: By,
    values: &[String],
) -> Result<Vec<Enqueued>> {
    let mut tasks = tokio::task::JoinSet::new();
    let period = Duration::from_secs_f64(f64::from(CONNECTIONS) / f64::from(rate));
    let begin = tokio::time::Instant::now() + Duration::from_millis(500);
    for number in 0..CONNECTIONS {
        let client = database.client().await?;
        let values = values.to_vec();
        let begin = begin + period * number / CONNECTIONS;
        let count = rate * seconds / CONNECTIONS;
        tasks.spawn(async move { one_by_one(&client, begin, period, count, number, by, &values).await });
    }
    let mut all = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        all.append(&mut outcome??);
    }
    Ok(all)
}

async fn one_by_one(
    client: &Client,
    begin: tokio::time::Instant,
    period: Duration,
    count: u32,
    number: u32,
    by: By,
    values: &[String],
) -> Result<Vec<Enqueued>> {
    let statement = client.prepare(by.sql()).await?;
    let mut tick = tokio::time::interval_at(begin, period);
    let mut all = Vec::new();
    for place in 0..count {
        tick.tick().await;
        let value = values.get((place + number) as usize % values.len().max(1)).map(String::as_str);
        all.push(enqueue_one(client, &statement, value).await?);
    }
    Ok(all)
}

fn now_us() -> i64 {
    i64::try_from(SystemClock.now().unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}
