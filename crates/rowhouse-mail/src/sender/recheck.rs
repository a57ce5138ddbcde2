//! The handler of `mail.check_senders`: looks the records of proved domains up again. A domain without its record
//! loses its proof; a missing answer changes nothing.

use std::net::SocketAddr;

use futures_util::{StreamExt, stream};
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobResult};
use rowhouse_kernel::Operation;
use serde_json::json;

use super::proof::{ProofResult, judge, record_of};
use crate::dns;
use crate::error::MailError;

/// Domains per round, and rounds per run; the next run checks the rest.
const ROUND: i64 = 100;
const MOST_ROUNDS: u32 = 100;
/// Concurrent DNS queries.
const QUESTIONS: usize = 10;
/// Consecutive missing records before the proof is lost.
const MOST_MISSES: i32 = 3;
/// Hours before a domain is checked again; less than the schedule's interval.
const REST_HOURS: i32 = 5;

/// The result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rechecked {
    /// Domains checked.
    pub checked: u64,
    /// Domains that lost their proof.
    pub lost: u64,
}

pub(crate) struct Recheck {
    pub(crate) control: Control,
}

impl Handler for Recheck {
    fn run<'a>(&'a self, _job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(async move { check(self).await })
    }
}

async fn check(recheck: &Recheck) -> JobResult {
    let found = recheck_all(&recheck.control, None).await;
    let found = found.map_err(|error| JobError::Retry(error.to_string()))?;
    Ok(Some(json!({ "checked": found.checked, "lost": found.lost }).into()))
}

struct Due {
    id: i64,
    name: String,
    token: String,
}

/// Looks up the record of every proved domain that is due, at `server` or by the machine's resolver.
///
/// # Errors
/// [`MailError::Unusable`] if the resolver cannot be used; else the database's.
pub async fn recheck_all(control: &Control, server: Option<SocketAddr>) -> Result<Rechecked, MailError> {
    let mut all = Rechecked::default();
    for _ in 0..MOST_ROUNDS {
        let due = due(control).await?;
        if due.is_empty() {
            break;
        }
        let answers = stream::iter(due).map(|due| look(due, server)).buffer_unordered(QUESTIONS);
        for answer in answers.collect::<Vec<_>>().await {
            let (due, is_there) = answer?;
            all.checked += 1;
            all.lost += u64::from(note(control, &due, is_there).await?);
        }
    }
    Ok(all)
}

async fn due(control: &Control) -> Result<Vec<Due>, DbError> {
    let find = async |client: &tokio_postgres::Client| {
        let sql = "select id, name, token from mail.senders \
                   where kind = 'domain' and proved_at is not null \
                     and coalesce(checked_at, proved_at) < clock_timestamp() - make_interval(hours => $1) \
                   order by checked_at nulls first, id limit $2";
        let rows = client.query(sql, &[&REST_HOURS, &ROUND]).await?;
        Ok(rows.iter().map(|row| Due { id: row.get(0), name: row.get(1), token: row.get(2) }).collect())
    };
    control.statement(&Operation::system("mail.senders_to_check"), find).await
}

/// Whether the record exists; `None` if no name server answered.
async fn look(due: Due, server: Option<SocketAddr>) -> Result<(Due, Option<bool>), MailError> {
    let record = record_of(&due.name);
    let answers = dns::text(&record, server).await?;
    if let Err(error) = &answers {
        tracing::info!(domain = due.name, error, "the record of a sender could not be looked up");
        return Ok((due, None));
    }
    let is_there = judge(&record, &due.token, &answers) == ProofResult::Proved;
    Ok((due, Some(is_there)))
}

/// Stores the finding; true if the domain has lost its proof.
async fn note(control: &Control, due: &Due, is_there: Option<bool>) -> Result<bool, DbError> {
    let id = due.id;
    let write = async move |tx: &Transaction<'_>| {
        let sql = "update mail.senders set checked_at = clock_timestamp(), \
                     misses = case when $2::boolean is null then misses when $2 then 0 else least(misses + 1, $3::int)::smallint end, \
                     proved_at = case when $2 is false and misses + 1 >= $3::int then null else proved_at end \
                   where id = $1 and proved_at is not null returning proved_at is null";
        let row = tx.query_opt(sql, &[&id, &is_there, &MOST_MISSES]).await.map_err(DbError::from)?;
        Ok::<bool, DbError>(row.is_some_and(|row| row.get(0)))
    };
    let is_lost = control.run_tx(&Operation::system("mail.check_sender_record"), write).await?;
    if is_lost {
        tracing::warn!(domain = due.name, "the record of a sender has gone; its tenant may not send as it");
        metrics::counter!("rowhouse_mail_senders_lost_total").increment(1);
    }
    Ok(is_lost)
}
