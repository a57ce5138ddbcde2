//! Statements of the worker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rowhouse_db::{Control, DbError};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::Registry;
use crate::raw_json::RawJson;
use crate::worker::failure_detector::Heartbeat;
use crate::worker::partition::Passed;

const PARTITIONS: &str = "select * from jobs.open_partitions($1, $2)";

/// The worker that fetches.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) worker: Uuid,
    pub(crate) release: String,
    pub(crate) host: String,
}

/// The row of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionRow {
    pub(crate) id: i32,
    pub(crate) queue: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) tenant: Option<Uuid>,
    pub(crate) priority: i16,
    /// Whether its queue has limits.
    pub(crate) limited: bool,
    pub(crate) paused: bool,
    pub(crate) min_release: Arc<str>,
    /// A sequence number, new whenever the partition is opened.
    pub(crate) opened: i64,
}

/// A fetched job.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) lease: i64,
    pub(crate) partition: i32,
    pub(crate) position: i64,
    pub(crate) id: i64,
    pub(crate) enqueued_at: OffsetDateTime,
    pub(crate) attempt: i16,
    /// As PostgreSQL wrote it.
    pub(crate) payload: Option<String>,
    pub(crate) options: Option<Value>,
    /// Size of its payload as text.
    pub(crate) bytes: usize,
    /// Why the payload cannot be parsed: PostgreSQL accepts JSON that is nested deeper and has larger numbers than
    /// parsers do.
    pub(crate) unreadable: Option<String>,
}

impl From<Row> for Claimed {
    fn from(row: Row) -> Self {
        let mut unreadable = None;
        let options = row.try_get(7).unwrap_or_else(|error: tokio_postgres::Error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            unreadable = Some(source.unwrap_or_else(|| error.to_string()));
            None
        });
        let payload = row.try_get::<_, Option<RawJson>>(6).ok().flatten().map(|RawJson(text)| text);
        let bytes = payload.as_ref().map_or(0, String::len);
        Self {
            lease: row.get(0),
            partition: row.get(1),
            position: row.get(2),
            id: row.get(3),
            enqueued_at: row.get(4),
            attempt: row.get(5),
            payload,
            options,
            bytes,
            unreadable,
        }
    }
}

/// The last position, and the transactions that could still add lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Horizon {
    pub(crate) last_position: i64,
    /// The oldest running transaction, and the first that has not begun.
    pub(crate) xmin: i64,
    pub(crate) xmax: i64,
}

/// Stores kinds that are not declared yet, so that they can be enqueued; see `config::sync`.
pub(crate) async fn register_kinds(control: &Control, registry: &Registry) -> Result<(), DbError> {
    let sql = "insert into jobs.kinds (name, min_release, max_attempts, timeout) \
               select name, min_release, attempts, make_interval(secs => seconds) \
               from unnest($1::text[], $2::text[], $3::smallint[], $4::float8[]) \
               as u (name, min_release, attempts, seconds) order by name \
               on conflict on constraint kinds_pkey do nothing";
    let names: Vec<&str> = registry.kinds().map(|kind| &*kind.name).collect();
    let releases: Vec<&str> = registry.kinds().map(|kind| kind.min_release.as_str()).collect();
    let attempts: Vec<i16> =
        registry.kinds().map(|kind| i16::try_from(kind.max_attempts).unwrap_or(1000)).collect();
    let seconds: Vec<f64> = registry.kinds().map(|kind| kind.timeout.as_secs_f64()).collect();
    let client = control.connection().await?;
    client.execute(sql, &[&names, &releases, &attempts, &seconds]).await?;
    Ok(())
}

pub(crate) async fn sign_in(client: &Client, who: &Identity) -> Result<(), DbError> {
    let sql = "insert into jobs.workers (id, release, host, pid) values ($1, $2, $3, $4)";
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    client.execute(sql, &[&who.worker, &who.release, &who.host, &pid]).await?;
    Ok(())
}

pub(crate) async fn sign_out(client: &Client, worker: Uuid) -> Result<(), DbError> {
    client.execute("delete from jobs.workers where id = $1", &[&worker]).await?;
    Ok(())
}

/// Writes a heartbeat. False if this worker was declared dead. Commits asynchronously: a busy disk must not make a
/// worker appear dead.
pub(crate) async fn beat(client: &Client, worker: Uuid) -> Result<bool, DbError> {
    let sql = "update jobs.workers set beat_at = clock_timestamp() \
               where id = $1 and set_config('synchronous_commit', 'off', true) is not null";
    Ok(client.execute(sql, &[&worker]).await? == 1)
}

/// The last heartbeats of the other workers.
pub(crate) async fn beats(client: &Client, worker: Uuid) -> Result<Vec<Heartbeat>, DbError> {
    let rows = client.query("select id, beat_at from jobs.workers where id <> $1", &[&worker]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Rescues the jobs of workers without a newer heartbeat; returns how many jobs.
pub(crate) async fn rescue(client: &Client, silent: &[Heartbeat]) -> Result<i32, DbError> {
    let (workers, beats): (Vec<Uuid>, Vec<OffsetDateTime>) = silent.iter().copied().unzip();
    Ok(client.query_one("select jobs.rescue($1, $2)", &[&workers, &beats]).await?.get(0))
}

pub(crate) async fn promote_due(client: &Client, most: i32) -> Result<i32, DbError> {
    let statement = client.prepare("select jobs.promote_due($1)").await?;
    Ok(client.query_one(&statement, &[&most]).await?.get(0))
}

pub(crate) async fn horizon(client: &deadpool_postgres::Object) -> Result<Horizon, DbError> {
    let sql = "select coalesce(pg_sequence_last_value('jobs.positions'), 0), \
               pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint from pg_current_snapshot() s";
    let row = client.query_one(&client.prepare_cached(sql).await?, &[]).await?;
    Ok(Horizon { last_position: row.get(0), xmin: row.get(1), xmax: row.get(2) })
}

/// For each partition with jobs at positions that fetches have passed, the first such position.
pub(crate) async fn left_behind(client: &Client, passed: &Passed) -> Result<BTreeMap<i32, i64>, DbError> {
    let sql = "select passed.partition, r.position from unnest($1::int[], $2::bigint[], $3::bigint[]) passed (partition, low, beyond) \
               cross join lateral (select w.position from jobs.ready w where w.partition = passed.partition \
               and w.position >= passed.low and w.position < passed.beyond order by w.position limit 1) r";
    let rows = client.query(sql, &[&passed.partitions, &passed.from, &passed.beyond]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// This worker's leases in the database.
pub(crate) async fn own_leases(client: &Client, worker: Uuid) -> Result<Vec<i64>, DbError> {
    let rows = client.query("select id from jobs.leases where worker = $1", &[&worker]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Releases leases whose fetch was never answered; returns how many jobs.
pub(crate) async fn release_leases(client: &Client, worker: Uuid, unknown: &[i64]) -> Result<i32, DbError> {
    Ok(client.query_one("select jobs.release_leases($1, $2)", &[&worker, &unknown]).await?.get(0))
}

/// Open partitions of these kinds that were opened after `after`.
pub(crate) async fn partitions(
    client: &deadpool_postgres::Object,
    kinds: &[String],
    after: i64,
) -> Result<Vec<PartitionRow>, DbError> {
    let rows = client.query(&client.prepare_cached(PARTITIONS).await?, &[&kinds, &after]).await?;
    let mut texts = BTreeSet::new();
    let read = |row: &Row| PartitionRow {
        id: row.get(0),
        queue: shared(&mut texts, row.get(1)),
        kind: shared(&mut texts, row.get(2)),
        tenant: row.get(3),
        priority: row.get(4),
        limited: row.get(5),
        paused: row.get(6),
        min_release: shared(&mut texts, row.get(7)),
        opened: row.get(8),
    };
    Ok(rows.iter().map(read).collect())
}

/// One copy for all rows with this text: there may be 100,000 rows, and plans read them again and again.
fn shared(texts: &mut BTreeSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = texts.get(text) {
        return Arc::clone(known);
    }
    let new: Arc<str> = text.into();
    texts.insert(Arc::clone(&new));
    new
}

/// Partitions to fetch from, with a start position and a maximum for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Picks {
    pub(crate) partitions: Vec<i32>,
    pub(crate) lows: Vec<i64>,
    pub(crate) quotas: Vec<i32>,
    /// One that gives so many has probably more.
    pub(crate) expected: Vec<i32>,
    /// The index into `kind_rooms` of each.
    pub(crate) kinds: Vec<i32>,
    pub(crate) kind_rooms: Vec<i64>,
    /// The kinds of `kind_rooms`, by their numbers in the worker.
    pub(crate) known_kinds: Vec<u16>,
}

/// The most to fetch: jobs, and bytes of their payloads. One job is fetched however large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) jobs: usize,
    pub(crate) bytes: usize,
}

impl Room {
    /// The rest after `claimed`.
    pub(crate) fn without(self, claimed: &[Claimed]) -> Self {
        let bytes: usize = claimed.iter().map(|job| job.bytes).sum();
        Self { jobs: self.jobs.saturating_sub(claimed.len()), bytes: self.bytes.saturating_sub(bytes) }
    }
}

/// Fetches jobs; also returns whether jobs were left because of their size only.
pub(crate) async fn claim(
    client: &deadpool_postgres::Object,
    worker: Uuid,
    picks: &Picks,
    room: Room,
    lease: i64,
) -> Result<(Vec<Claimed>, bool), DbError> {
    let sql = "select lease, partition, \"position\", id, enqueued_at, attempt, payload, options, cut \
               from jobs.claim($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let statement = client.prepare_cached(sql).await?;
    let (jobs, bytes) = (number(room.jobs), number(room.bytes));
    let rows = client
        .query(
            &statement,
            &[
                &worker,
                &picks.partitions,
                &picks.lows,
                &picks.quotas,
                &picks.kinds,
                &picks.kind_rooms,
                &jobs,
                &bytes,
                &lease,
            ],
        )
        .await?;
    let cut = rows.first().is_some_and(|row| row.get(8));
    Ok((rows.into_iter().map(Claimed::from).collect(), cut))
}

pub(crate) async fn claim_limited(
    client: &deadpool_postgres::Object,
    worker: Uuid,
    queue: &str,
    picks: &Picks,
    room: Room,
    lease: i64,
) -> Result<Vec<Claimed>, DbError> {
    let sql = "select lease, partition, \"position\", id, enqueued_at, attempt, payload, options \
               from jobs.claim_limited($1, $2, $3, $4, $5, $6, $7)";
    let statement = client.prepare_cached(sql).await?;
    let jobs = i32::try_from(room.jobs).unwrap_or(i32::MAX);
    let bytes = number(room.bytes);
    let rows = client
        .query(&statement, &[&worker, &queue, &picks.partitions, &picks.quotas, &jobs, &bytes, &lease])
        .await?;
    Ok(rows.into_iter().map(Claimed::from).collect())
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Completes whole leases whose jobs all succeeded without results. Returns those that this worker still held.
pub(crate) async fn complete_leases(
    client: &deadpool_postgres::Object,
    worker: Uuid,
    leases: &[i64],
) -> Result<Vec<i64>, DbError> {
    let statement = client.prepare_cached("select jobs.complete_leases($1, $2)").await?;
    let rows = client.query(&statement, &[&worker, &leases]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Completes runs; returns the ids that this worker still held. See `jobs.complete`.
///
/// # Errors
/// The database's.
pub async fn complete(
    client: &tokio_postgres::Client,
    worker: Uuid,
    outcomes: &(impl ToSql + Sync),
) -> Result<Vec<i64>, DbError> {
    Ok(client.query_one("select jobs.complete($1, $2)", &[&worker, outcomes]).await?.get(0))
}

/// Closes partitions without ready jobs; returns how many.
pub(crate) async fn close_idle_partitions(client: &Client, most: i32) -> Result<i32, DbError> {
    Ok(client.query_one("select jobs.close_idle_partitions($1)", &[&most]).await?.get(0))
}

/// Running jobs that are to be cancelled.
pub(crate) async fn cancellations(client: &Client) -> Result<Vec<i64>, DbError> {
    let rows = client.query("select id from jobs.cancellations", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
