//! Writing an entry in the running transaction. Leaves linking it to `seal`.

use rowhouse_db::DbError;
use rowhouse_kernel::{OrganizationId, TenantId};
use serde_json::{Map, Value};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::detail::bounded;

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
    /// Further details. Of members beyond 8 KiB together, only the lengths are kept.
    pub details: Map<String, Value>,
}

/// Writes `entry` in the running transaction: it exists if and only if the transaction commits. Its organization is the
/// tenant's. Returns its id.
///
/// # Errors
/// The database's; SQLSTATE 23514 when a part of the entry is too long.
pub async fn write(tx: &Client, entry: Entry<'_>) -> Result<Uuid, DbError> {
    insert(tx, None, entry).await
}

/// The same for what concerns this organization. Without a tenant the entry concerns none, whichever tenant the
/// transaction has.
///
/// # Errors
/// The database's; SQLSTATE 23514 when a part of the entry is too long.
pub async fn write_about(
    tx: &Client,
    organization: OrganizationId,
    entry: Entry<'_>,
) -> Result<Uuid, DbError> {
    insert(tx, Some(organization), entry).await
}

async fn insert(
    tx: &Client,
    organization: Option<OrganizationId>,
    entry: Entry<'_>,
) -> Result<Uuid, DbError> {
    let (tenant, details) = (entry.tenant.map(|tenant| tenant.0), Value::Object(bounded(entry.details)));
    let organization = organization.map(|organization| organization.0);
    let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
        (&entry.source, Type::TEXT),
        (&entry.action, Type::TEXT),
        (&entry.target_kind, Type::TEXT),
        (&entry.target_id, Type::TEXT),
        (&details, Type::JSONB),
        (&tenant, Type::UUID),
        (&organization, Type::UUID),
    ];
    let sql = "select audit.write($1, $2, $3, $4, $5, $6, organization_id => $7)";
    Ok(tx.query_typed_one(sql, &parameters).await?.try_get(0)?)
}
