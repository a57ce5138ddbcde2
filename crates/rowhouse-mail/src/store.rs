//! SQL statements about mails.

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use time::OffsetDateTime;
use tokio_postgres::{Client, Row};

/// Priorities of jobs; see `jobs.enqueue`.
const URGENT: i32 = 0;
const ORDINARY: i32 = 5;

/// A mail that is stored and will be delivered once the caller's transaction commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// `mail.messages.id`.
    pub id: i64,
    /// The header, without brackets.
    pub message_id: String,
    /// `mail.recipients.id` with the address, in the order given.
    pub recipients: Vec<(i64, String)>,
    /// Whether it was made now, and not earlier under the same idempotency key.
    pub is_new: bool,
}

/// A message to be stored.
#[derive(Debug)]
pub(crate) struct NewMessage<'a> {
    pub(crate) message_id: &'a str,
    pub(crate) envelope_from: &'a str,
    pub(crate) sender: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) tag: Option<&'a str>,
    pub(crate) list: Option<&'a str>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) idempotency_key: Option<&'a str>,
    /// The SMTP credential that it was handed in with.
    pub(crate) credential: Option<&'a str>,
    pub(crate) mime: &'a [u8],
    pub(crate) recipients: Vec<&'a str>,
    /// Captured instead of delivered: no jobs.
    pub(crate) is_captured: bool,
    /// Tags in the captured mailbox.
    pub(crate) tags: Vec<String>,
    /// A person is waiting for it: delivered before others.
    pub(crate) is_urgent: bool,
}

/// Stores a message, its recipients and their jobs in one round trip; for an idempotency key that was used before,
/// returns that message.
pub(crate) async fn accept(client: &Client, new: &NewMessage<'_>) -> Result<Accepted, DbError> {
    let rows = client
        .query(
            include_str!("../sql/accept.sql"),
            &[
                &new.message_id,
                &new.envelope_from,
                &new.sender,
                &new.subject,
                &new.kind,
                &new.tag,
                &new.tenant.map(|tenant| tenant.0),
                &new.request_id,
                &new.idempotency_key,
                &new.mime,
                &new.recipients,
                &new.is_captured,
                &if new.is_urgent { URGENT } else { ORDINARY },
                &new.list,
                &new.credential,
                &new.tags,
            ],
        )
        .await?;
    let Some(first) = rows.first() else { return get_by_key(client, new).await };
    Ok(Accepted {
        id: first.get(0),
        message_id: new.message_id.to_owned(),
        recipients: rows.iter().map(|row| (row.get(1), row.get(2))).collect(),
        is_new: true,
    })
}

async fn get_by_key(client: &Client, new: &NewMessage<'_>) -> Result<Accepted, DbError> {
    let sql = "select m.id, m.message_id, r.id, r.address from mail.messages m \
               join mail.recipients r on r.message = m.id where m.idempotency_key = $1 and m.tenant is not distinct from $2 order by r.id";
    let rows = client.query(sql, &[&new.idempotency_key, &new.tenant.map(|tenant| tenant.0)]).await?;
    let first = rows.first().ok_or_else(|| DbError::Protocol("a mail was neither made nor found".into()))?;
    Ok(Accepted {
        id: first.get(0),
        message_id: first.get(1),
        recipients: rows.iter().map(|row| (row.get(2), row.get(3))).collect(),
        is_new: false,
    })
}

/// What a run may do for a recipient now.
#[derive(Debug)]
pub(crate) enum AttemptStart {
    /// Attempt delivery; the number of the attempt, from 1.
    Go(u16, Copy),
    /// Wait: a limit has assigned a later slot.
    Wait(Duration),
    /// Nothing: the address is suppressed.
    Suppressed(u16),
    /// Nothing: it is in a final state, or deleted.
    Ended,
}

/// One recipient's copy of a message.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) address: String,
    pub(crate) envelope_from: String,
    pub(crate) message_id: String,
    pub(crate) request_id: Option<String>,
    /// Composed by the platform or submitted with its credentials, not with a tenant's.
    pub(crate) is_platforms: bool,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) mime: Vec<u8>,
}

/// Begins an attempt, if one is due.
pub(crate) async fn begin(
    client: &Client,
    recipient: i64,
    rate_per_minute: Option<u32>,
    daily_cap: Option<u32>,
) -> Result<AttemptStart, DbError> {
    let number = |limit: Option<u32>| limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
    let sql = "select * from mail.begin($1, $2, $3)";
    let row = client.query_one(sql, &[&recipient, &number(rate_per_minute), &number(daily_cap)]).await?;
    let attempt = row.get::<_, Option<i16>>("attempt");
    let attempt = attempt.and_then(|attempt| u16::try_from(attempt).ok()).unwrap_or(0);
    Ok(match row.get("verdict") {
        "go" => AttemptStart::Go(attempt, copy(&row)),
        "wait" => {
            let wait = row.get::<_, Option<f64>>("wait_seconds").unwrap_or(0.0).max(0.0);
            AttemptStart::Wait(Duration::from_secs_f64(wait))
        }
        "suppressed" => AttemptStart::Suppressed(attempt),
        _ => AttemptStart::Ended,
    })
}

fn copy(row: &Row) -> Copy {
    Copy {
        address: row.get("address"),
        envelope_from: row.get("envelope_from"),
        message_id: row.get("message_id"),
        request_id: row.get("request_id"),
        is_platforms: row.get("is_platforms"),
        created_at: row.get("created_at"),
        mime: row.get("mime"),
    }
}

/// The final state of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalState {
    Sent,
    Captured,
    Failed,
    Bounced,
    Suppressed,
}

impl FinalState {
    /// The name of the state and of its event.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Suppressed => "suppressed",
        }
    }
}

/// Longest reply kept, in characters.
const LONGEST_REPLY: usize = 2000;

fn shorten(reply: &str) -> String {
    reply.chars().filter(|c| *c != '\0').take(LONGEST_REPLY).collect()
}

/// Stores a recipient's final state with its event and, for a bounce, the suppression; false if it already had one.
pub(crate) async fn end(
    client: &Client,
    recipient: i64,
    attempt: u16,
    end: FinalState,
    reply: &str,
    suppression: Duration,
) -> Result<bool, DbError> {
    let (reply, attempt) = (shorten(reply), i16::try_from(attempt).unwrap_or(i16::MAX));
    let lifetime = suppression.as_secs_f64();
    let sql = include_str!("../sql/end.sql");
    Ok(client.execute(sql, &[&recipient, &end.name(), &reply, &attempt, &lifetime]).await? == 1)
}

/// Stores that a recipient will be retried after a delay; `counts` says whether this run counts as an attempt.
pub(crate) async fn delay(
    client: &Client,
    recipient: i64,
    attempt: u16,
    counts: bool,
    reply: &str,
    after: Duration,
) -> Result<(), DbError> {
    let (reply, attempt) = (shorten(reply), i16::try_from(attempt).unwrap_or(i16::MAX));
    let sql = include_str!("../sql/delay.sql");
    client.execute(sql, &[&recipient, &reply, &after.as_secs_f64(), &counts, &attempt]).await?;
    Ok(())
}

/// Deletes up to `most` messages whose final state is older than `retention` (seconds).
pub(crate) async fn prune(tx: &Client, retention: f64, most: i64) -> Result<u64, DbError> {
    Ok(tx.execute(include_str!("../sql/prune.sql"), &[&retention, &most]).await?)
}

/// Deletes drafts older than `retention` (seconds) that were never composed.
pub(crate) async fn prune_drafts(tx: &Client, retention: f64) -> Result<u64, DbError> {
    let sql = "delete from mail.drafts where created_at < clock_timestamp() - make_interval(secs => $1)";
    Ok(tx.execute(sql, &[&retention]).await?)
}

/// Deletes suppressions that have expired.
pub(crate) async fn prune_suppressions(tx: &Client) -> Result<u64, DbError> {
    Ok(tx.execute("delete from mail.suppressions where expires_at < clock_timestamp()", &[]).await?)
}
