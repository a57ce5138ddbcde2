#![doc = include_str!("../README.md")]

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde_json::{Map, Value};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// Platform migrations of this crate: schema `audit`.
pub const MIGRATIONS: &[rowhouse_db::migrate::Statement] =
    &[("20261127110100_audit_core.sql", include_str!("../migrations/20261127110100_audit_core.sql"))];

/// What was done to what. Who did it is known from the transaction.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The crate or module that writes, such as `auth`.
    pub source: &'a str,
    /// What was done, such as `key_revoked`.
    pub action: &'a str,
    /// What kind of thing it was done to, such as `signing_key`.
    pub target_kind: &'a str,
    /// Which one.
    pub target_id: &'a str,
    /// The tenant concerned; `None` takes that of the transaction, if it has one.
    pub tenant: Option<TenantId>,
    /// Further details, at most 8 KiB as JSON.
    pub details: Map<String, Value>,
}

/// Writes `entry` in the running transaction: it exists if and only if the transaction commits. Returns its id.
///
/// # Errors
/// The database's; SQLSTATE 23514 when a part of the entry is too long.
pub async fn write(tx: &Client, entry: Entry<'_>) -> Result<Uuid, DbError> {
    let (tenant, details) = (entry.tenant.map(|tenant| tenant.0), Value::Object(entry.details));
    let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
        (&entry.source, Type::TEXT),
        (&entry.action, Type::TEXT),
        (&entry.target_kind, Type::TEXT),
        (&entry.target_id, Type::TEXT),
        (&details, Type::JSONB),
        (&tenant, Type::UUID),
    ];
    let row = tx.query_typed_one("select audit.write($1, $2, $3, $4, $5, $6)", &parameters).await?;
    Ok(row.try_get(0)?)
}
