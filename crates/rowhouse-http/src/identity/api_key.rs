//! API keys of organizations as bearers: looked up on every request, so that a revoked key ends at once. Leaves what a key
//! may do to the routes, and which surfaces accept one to `surface.rs`.

use std::fmt;

use rowhouse_crypto::ApiKey;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{AUTHENTICATED, ApiKeyId, Caller, OrganizationId, Origin, TenantId};
use serde_json::json;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// Digest of a key that was presented and has not been looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PresentedKey([u8; 32]);

impl fmt::Debug for PresentedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedKey(…)")
    }
}

impl PresentedKey {
    /// `None` unless the text has the form of a key.
    pub(super) fn parse(text: &str) -> Option<Self> {
        ApiKey::parse(text).map(|key| Self(key.digest()))
    }
}

/// Finds the callers behind API keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ApiKeys {
    control: Control,
}

impl ApiKeys {
    /// Looks them up in this database.
    #[must_use]
    pub fn new(control: Control) -> Self {
        Self { control }
    }

    /// The caller, if the key is valid at this moment and its organization and tenant are open.
    ///
    /// # Errors
    /// The database's.
    pub async fn find(&self, key: PresentedKey, origin: &Origin) -> Result<Option<Caller>, DbError> {
        let find = async move |client: &Client| {
            let sql = "select id, organization_id, tenant_id from rowhouse.find_api_key($1)";
            let digest: &[u8] = &key.0;
            let row = client.query_typed_opt(sql, &[(&digest, Type::BYTEA)]).await?;
            Ok::<_, DbError>(row.as_ref().map(caller).transpose()?)
        };
        self.control.statement(&origin.operation("http.find_api_key"), find).await
    }
}

/// The role is that of users, who have no rights by it on tables of the platform; no surface with the project's tables
/// accepts keys.
fn caller(row: &Row) -> Result<Caller, tokio_postgres::Error> {
    let id: Uuid = row.try_get("id")?;
    Ok(Caller {
        role: AUTHENTICATED.into(),
        claims: json!({ "role": AUTHENTICATED, "api_key": id }).to_string().into(),
        api_key: Some(ApiKeyId(id)),
        organization: Some(OrganizationId(row.try_get("organization_id")?)),
        tenant: row.try_get::<_, Option<Uuid>>("tenant_id")?.map(TenantId),
        ..Caller::anonymous()
    })
}
