//! Exports: everything about a user or a tenant, as lines of JSON or as an archive. Leaves what is exported to SQL, and who may
//! have it to the callers.

pub mod answer;
mod archive;
pub mod file;
mod lines;

use rowhouse_db::DbError;
use rowhouse_kernel::{Caller, Origin, TenantId};
use serde_json::json;
use time::OffsetDateTime;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::error::TenancyError;
use crate::flow::record::{Change, record};
use crate::flow::tenant;
use crate::permission::Permission;
use crate::store::member::Group;

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// `user` or `tenant`.
    pub what: &'static str,
    /// Its id.
    pub id: Uuid,
    /// The function of SQL that returns its rows: objects with `table` and `row`.
    pub function: &'static str,
}

impl Subject {
    /// A tenant.
    #[must_use]
    pub const fn tenant(id: TenantId) -> Self {
        Self { what: "tenant", id: id.0, function: "tenancy.export_tenant" }
    }
}

/// Who exports, and when.
#[derive(Debug, Clone)]
pub struct Stamp {
    by: String,
    impersonator: Option<Uuid>,
    at: OffsetDateTime,
}

impl From<&Origin> for Stamp {
    fn from(origin: &Origin) -> Self {
        let impersonator = origin.actor.impersonator().map(|operator| operator.0);
        Self { by: origin.actor.to_string(), impersonator, at: origin.clock.now() }
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The output's part.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

impl From<tokio_postgres::Error> for ExportError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

/// Notes in the audit log that a tenant is exported, for a caller with the permission there.
///
/// # Errors
/// [`TenancyError`].
pub async fn note_tenant(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    permission: Permission,
) -> Result<(), TenancyError> {
    let tenant = tenant::get(tx, caller, id, permission).await?;
    let (group, id) = (Group::from(&tenant), tenant.id.to_string());
    Ok(record(tx, Change::of_group("tenant_exported", group, &id, json!({}))).await?)
}
