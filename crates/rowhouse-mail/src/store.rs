//! Every SQL statement about mails.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use tokio_postgres::GenericClient;

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
    pub(crate) tenant: Option<TenantId>,
    pub(crate) request_id: Option<&'a str>,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) mime: &'a [u8],
    pub(crate) recipients: Vec<&'a str>,
    /// Kept for looking at instead of delivered: no jobs.
    pub(crate) is_captured: bool,
}

/// Stores a message, its recipients and their jobs in one round trip; of an idempotency key that is taken, finds the
/// message that has it.
pub(crate) async fn accept(client: &impl GenericClient, new: &NewMessage<'_>) -> Result<Accepted, DbError> {
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
            ],
        )
        .await?;
    let Some(first) = rows.first() else { return get_by_key(client, new.idempotency_key).await };
    Ok(Accepted {
        id: first.get(0),
        message_id: new.message_id.to_owned(),
        recipients: rows.iter().map(|row| (row.get(1), row.get(2))).collect(),
        is_new: true,
    })
}

async fn get_by_key(client: &impl GenericClient, key: Option<&str>) -> Result<Accepted, DbError> {
    let sql = "select m.id, m.message_id, r.id, r.address from mail.messages m \
               join mail.recipients r on r.message = m.id where m.idempotency_key = $1 order by r.id";
    let rows = client.query(sql, &[&key]).await?;
    let first =
        rows.first().ok_or_else(|| DbError::Protocol("a mail was neither made nor found".to_owned()))?;
    Ok(Accepted {
        id: first.get(0),
        message_id: first.get(1),
        recipients: rows.iter().map(|row| (row.get(2), row.get(3))).collect(),
        is_new: false,
    })
}
