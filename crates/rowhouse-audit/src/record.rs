//! An entry as it is read.

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio_postgres::Row;
use uuid::Uuid;

/// An entry of the audit log, with its link.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "AuditEntry")]
pub struct Record {
    /// Identifies the entry.
    pub id: Uuid,
    /// When it was written.
    #[serde(with = "rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub occurred_at: OffsetDateTime,
    /// The module that wrote it.
    pub source: String,
    /// What was done.
    pub action: String,
    /// Who did it: a user's id, a role, `operator:NAME`, `sql:LOGIN` or `system`.
    pub actor: String,
    /// The operator who acted as the actor; null while nobody did.
    pub impersonator: Option<Uuid>,
    /// The transaction that did it.
    pub operation: Option<String>,
    /// The request that caused it, as in `x-request-id`.
    pub request_id: Option<String>,
    /// The organization concerned.
    pub organization_id: Option<Uuid>,
    /// The tenant concerned.
    pub tenant_id: Option<Uuid>,
    /// What kind of thing it was done to.
    pub target_kind: String,
    /// Which one.
    pub target_id: String,
    /// The client's address.
    pub address: Option<String>,
    /// What the client said it is.
    pub user_agent: Option<String>,
    /// Details by source and action, as PostgreSQL wrote them: numbers are unchanged.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub details: Box<RawValue>,
    /// Its place in its organization's chain; null for about a second after it was written.
    pub sequence: Option<i64>,
    /// The hash of its link, in hexadecimal.
    pub hash: Option<String>,
}

impl Record {
    pub(crate) fn from_row(row: &Row) -> Result<Self, DbError> {
        let details: String = row.try_get("details")?;
        Ok(Self {
            id: row.try_get("id")?,
            occurred_at: row.try_get("occurred_at")?,
            source: row.try_get("source")?,
            action: row.try_get("action")?,
            actor: row.try_get("actor")?,
            impersonator: row.try_get("impersonator")?,
            operation: row.try_get("operation")?,
            request_id: row.try_get("request_id")?,
            organization_id: row.try_get("organization_id")?,
            tenant_id: row.try_get("tenant_id")?,
            target_kind: row.try_get("target_kind")?,
            target_id: row.try_get("target_id")?,
            address: row.try_get("address")?,
            user_agent: row.try_get("user_agent")?,
            details: RawValue::from_string(details)
                .map_err(|error| DbError::Protocol(format!("details of an entry: {error}").into()))?,
            sequence: row.try_get("sequence")?,
            hash: row.try_get("hash")?,
        })
    }

    /// Where a page that ends with this entry goes on.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { occurred_at: self.occurred_at, id: self.id }
    }
}

/// A position in the list: after this entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The entry's time, in microseconds as PostgreSQL has it.
    #[serde(with = "rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// The entry.
    pub id: Uuid,
}
