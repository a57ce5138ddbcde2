#![doc = include_str!("../README.md")]

mod setting;

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

pub use setting::EventSettings;

/// Platform migrations of this crate: schema `events`.
pub const MIGRATIONS: &[rowhouse_db::migrate::Statement] =
    &[("20261127120010_events_core.sql", include_str!("../migrations/20261127120010_events_core.sql"))];
/// Where NOTIFY says that there are events.
pub const CHANNEL: &str = "rowhouse_events";
/// Most bytes of a payload as JSON; more is refused with SQLSTATE 23514.
pub const MAX_PAYLOAD_BYTES: usize = 65_536;
/// Most events of one read.
pub const MAX_READ: u16 = 1_000;

/// A reader's position: after this event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The transaction that wrote the event.
    pub txid: u64,
    /// The event.
    pub id: i64,
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its position in the order.
    pub cursor: Cursor,
    /// What has happened, such as `auth.user_created`.
    pub kind: String,
    /// The tenant whose data it concerns.
    pub tenant: Option<TenantId>,
    /// Details.
    pub payload: Value,
    /// When it was written, by the database's clock.
    pub created_at: OffsetDateTime,
    /// Who did it, as in the audit log.
    pub actor: String,
    /// The request that caused it.
    pub request_id: Option<String>,
}

/// Writes an event in the running transaction: it exists if and only if the transaction commits. Without a
/// tenant it takes that of the transaction, if it has one.
///
/// # Errors
/// The database's; SQLSTATE 23514 when the kind is malformed or the payload too long.
pub async fn emit(
    tx: &Client,
    kind: &str,
    tenant: Option<TenantId>,
    payload: &Value,
) -> Result<i64, DbError> {
    let tenant = tenant.map(|tenant| tenant.0);
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&kind, Type::TEXT), (payload, Type::JSONB), (&tenant, Type::UUID)];
    Ok(tx.query_typed_one("select events.emit($1, $2, $3)", &parameters).await?.try_get(0)?)
}

/// At most `limit` events after `cursor`, in order. Stops before an event that a transaction still running
/// could precede.
///
/// # Errors
/// The database's.
pub async fn read_after(client: &Client, cursor: Cursor, limit: u16) -> Result<Vec<Event>, DbError> {
    let (txid, limit) = (cursor.txid.to_string(), i64::from(limit.min(MAX_READ)));
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&txid, Type::TEXT), (&cursor.id, Type::INT8), (&limit, Type::INT8)];
    let rows = client.query_typed(include_str!("../sql/read_after.sql"), &parameters).await?;
    rows.iter().map(event).collect()
}

fn event(row: &Row) -> Result<Event, DbError> {
    let txid: String = row.try_get("txid")?;
    let txid =
        txid.parse().map_err(|_| DbError::Protocol(format!("the transaction number {txid}").into()))?;
    Ok(Event {
        cursor: Cursor { txid, id: row.try_get("id")? },
        kind: row.try_get("kind")?,
        tenant: row.try_get::<_, Option<Uuid>>("tenant_id")?.map(TenantId),
        payload: row.try_get("payload")?,
        created_at: row.try_get("created_at")?,
        actor: row.try_get("actor")?,
        request_id: row.try_get("request_id")?,
    })
}
