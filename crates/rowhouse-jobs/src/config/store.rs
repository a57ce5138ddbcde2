//! Statements that store declarations.

use rowhouse_db::DbError;
use rowhouse_db::Transaction;
use rowhouse_kernel::settings::Setting;
use serde_json::Value;
use tokio_postgres::Client;

use super::{Schedules, Written};
use crate::JobKind;
use crate::settings::{JobsSettings, QueueSettings};

/// Serializes processes that start together.
pub(super) async fn take_turn(tx: &Client) -> Result<(), DbError> {
    tx.batch_execute("select from jobs.turns where name = 'sync' for update").await?;
    Ok(())
}

const INSERT_KIND: &str = "insert into jobs.kinds as k (name, handler, min_release, max_attempts, timeout) \
    values ($1, $2, $3, $4, make_interval(secs => $5)) on conflict on constraint kinds_pkey";

/// A process older than a kind's `min_release` does not overwrite its row.
pub(super) async fn write_kinds(
    tx: &Transaction<'_>,
    kinds: &[(JobKind, String)],
    release: &String,
) -> Result<(), DbError> {
    let sql = format!(
        "{INSERT_KIND} do update set handler = excluded.handler, \
         min_release = excluded.min_release, max_attempts = excluded.max_attempts, timeout = excluded.timeout \
         where string_to_array(k.min_release, '.')::int[] <= string_to_array($6, '.')::int[]"
    );
    for (kind, handler) in kinds {
        let (name, attempts, timeout) = columns(kind);
        tx.execute(&sql, &[&name, handler, &kind.min_release, &attempts, &timeout, release]).await?;
    }
    Ok(())
}

/// Leaves those that there are.
pub(super) async fn add_kinds(tx: &Client, kinds: &[(JobKind, String)]) -> Result<(), DbError> {
    let sql = format!("{INSERT_KIND} do nothing");
    for (kind, handler) in kinds {
        let (name, attempts, timeout) = columns(kind);
        tx.execute(&sql, &[&name, handler, &kind.min_release, &attempts, &timeout]).await?;
    }
    Ok(())
}

fn columns(kind: &JobKind) -> (String, i16, f64) {
    let attempts = i16::try_from(kind.max_attempts).unwrap_or(1000);
    (kind.name.to_string(), attempts, kind.timeout.as_secs_f64())
}

pub(super) async fn write_queues(tx: &Transaction<'_>, settings: &JobsSettings) -> Result<(), DbError> {
    // copies: a borrowing iterator cannot be held across the await
    let queues: Vec<(String, QueueSettings)> =
        settings.queues.iter().map(|(name, queue)| (name.to_owned(), queue.clone())).collect();
    let names: Vec<String> = queues.iter().map(|(name, _)| name.clone()).collect();
    let gone = "update jobs.queues set declared = false, concurrency = null, tenant_concurrency = null, \
                key_concurrency = 1, rate = null, tenant_rate = null, key_rate = null \
                where declared and name <> all ($1)";
    tx.execute(gone, &[&names]).await?;
    for (name, queue) in &queues {
        write_queue(tx, name, queue).await?;
    }
    Ok(())
}

/// Leaves those that there are.
pub(super) async fn add_queues(tx: &Client, settings: &JobsSettings) -> Result<(), DbError> {
    let names: Vec<String> = settings.queues.iter().map(|(name, _)| name.to_owned()).collect();
    let known = "select name from jobs.queues where name = any ($1)";
    let known: Vec<String> = tx.query(known, &[&names]).await?.iter().map(|row| row.get(0)).collect();
    let missing: Vec<(String, QueueSettings)> = settings
        .queues
        .iter()
        .filter(|(name, _)| known.iter().all(|known| known != name))
        .map(|(name, queue)| (name.to_owned(), queue.clone()))
        .collect();
    for (name, queue) in &missing {
        write_queue(tx, name, queue).await?;
    }
    Ok(())
}

async fn write_queue(tx: &Client, name: &String, queue: &QueueSettings) -> Result<(), DbError> {
    let sql = "insert into jobs.queues as q (name, paused, concurrency, tenant_concurrency, key_concurrency, \
               rate, tenant_rate, key_rate, declared) values ($1, coalesce($2, false), $3, $4, $5, $6, $7, $8, true) \
               on conflict on constraint queues_pkey do update set paused = coalesce($2, q.paused), \
               concurrency = $3, tenant_concurrency = $4, key_concurrency = $5, rate = $6, tenant_rate = $7, \
               key_rate = $8, declared = true";
    let int = |number: Option<u32>| number.and_then(|number| i32::try_from(number).ok());
    let (most, of_tenant) = (int(queue.concurrency), int(queue.tenant_concurrency));
    let of_key = int(Some(queue.key_concurrency));
    let (rate, tenant_rate, key_rate) = (queue.rate, queue.tenant_rate, queue.key_rate);
    tx.execute(sql, &[name, &queue.paused, &most, &of_tenant, &of_key, &rate, &tenant_rate, &key_rate])
        .await?;
    Ok(())
}

pub(super) async fn write_schedules(tx: &Transaction<'_>, schedules: &Schedules) -> Result<(), DbError> {
    let names: Vec<String> = schedules.keys().cloned().collect();
    // Built-in schedules are never removed: an older process does not know all of them.
    let gone = "update jobs.schedules set declared = false, slot = null, next_at = null \
                where declared and not built_in and name <> all ($1)";
    tx.execute(gone, &[&names]).await?;
    for (name, written) in schedules {
        write_schedule(tx, name, written).await?;
    }
    Ok(())
}

/// An unchanged schedule keeps its next occurrence, so that times missed while no process ran are detected; one that
/// is new, was paused, or has other times starts now.
async fn write_schedule(tx: &Transaction<'_>, name: &String, written: &Written) -> Result<(), DbError> {
    let Written { schedule, built_in, turn } = written;
    let (slot, next_at) = (turn.map(|turn| turn.slot), turn.map(|turn| turn.at));
    let sql = "insert into jobs.schedules as s (name, cron, timezone, kind, payload, queue, missed, jitter, paused, \
               built_in, slot, next_at) \
               values ($1, $2, $3, $4, $5, $6, $7, make_interval(secs => $8), $9, $10, $11, $12) \
               on conflict on constraint schedules_pkey do update set cron = excluded.cron, \
               timezone = excluded.timezone, kind = excluded.kind, payload = excluded.payload, \
               queue = excluded.queue, missed = excluded.missed, jitter = excluded.jitter, \
               paused = excluded.paused, built_in = excluded.built_in, declared = true, \
               slot = case when as_before then s.slot else excluded.slot end, \
               next_at = case when as_before then s.next_at else excluded.next_at end";
    // The condition `as_before`, spelled out because the statement cannot name it.
    let as_before = "(s.declared and not s.paused and s.next_at is not null and \
                     (s.cron, s.timezone, s.jitter) = (excluded.cron, excluded.timezone, excluded.jitter))";
    let payload = Value::from(schedule.payload.clone());
    let (missed, jitter) = (schedule.missed.show(), schedule.jitter.as_secs_f64());
    tx.execute(
        &sql.replace("as_before", as_before),
        &[
            name,
            &schedule.pattern,
            &schedule.timezone,
            &schedule.kind,
            &payload,
            &schedule.queue,
            &missed,
            &jitter,
            &schedule.paused,
            built_in,
            &slot,
            &next_at,
        ],
    )
    .await?;
    Ok(())
}
