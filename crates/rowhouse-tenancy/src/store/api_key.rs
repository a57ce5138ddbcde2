//! `tenancy.api_keys`. Looking a presented key up is left to `rowhouse_http`.

use rowhouse_db::DbError;
use rowhouse_kernel::{ApiKeyId, OrganizationId, TenantId};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use crate::permission::Permission;

/// A key of an organization's services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ApiKey {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// Its last four characters.
    pub(crate) hint: String,
    /// Permissions that it has.
    pub(crate) scopes: Vec<String>,
    /// The only tenant in which it counts; null means all, and the organization itself.
    pub(crate) tenant_id: Option<Uuid>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) expires_at: Option<String>,
    /// Noted once a minute.
    #[schemars(extend("format" = "date-time"))]
    pub(crate) last_used_at: Option<String>,
    /// A user's id, `service_role` or `api_key:ID`.
    pub(crate) created_by: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) revoked_at: Option<String>,
}

impl ApiKey {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            hint: row.try_get("hint")?,
            scopes: row.try_get("scopes")?,
            tenant_id: row.try_get("tenant_id")?,
            expires_at: row.try_get("expires_at")?,
            last_used_at: row.try_get("last_used_at")?,
            created_by: row.try_get("created_by")?,
            created_at: row.try_get("created_at")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    }
}

macro_rules! api_key_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " k.id, k.name, k.hint, k.scopes, k.tenant_id, k.created_by,
              to_jsonb(k.expires_at at time zone 'UTC') #>> '{}' || 'Z' as expires_at,
              to_jsonb(k.last_used_at at time zone 'UTC') #>> '{}' || 'Z' as last_used_at,
              to_jsonb(k.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
              to_jsonb(k.revoked_at at time zone 'UTC') #>> '{}' || 'Z' as revoked_at ",
            $after
        )
    };
}

/// A key to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewApiKey<'a> {
    pub(crate) id: ApiKeyId,
    pub(crate) organization: OrganizationId,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) name: &'a str,
    pub(crate) scopes: &'a [Permission],
    pub(crate) expires_at: Option<OffsetDateTime>,
}

/// Makes one with this secret, of which the digest is stored.
pub(crate) async fn create(
    client: &Client,
    new: &NewApiKey<'_>,
    secret: &rowhouse_crypto::ApiKey,
) -> Result<ApiKey, DbError> {
    let sql = api_key_columns!(
        "insert into tenancy.api_keys as k (id, organization_id, tenant_id, name, hint, digest, scopes, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8) returning",
        ""
    );
    let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.as_str()).collect();
    let (tenant, digest) = (new.tenant.map(|tenant| tenant.0), secret.digest());
    let digest: &[u8] = &digest;
    let parameters: [Bound<'_>; 8] = [
        (&new.id.0, Type::UUID),
        (&new.organization.0, Type::UUID),
        (&tenant, Type::UUID),
        (&new.name, Type::TEXT),
        (&secret.hint(), Type::TEXT),
        (&digest, Type::BYTEA),
        (&scopes, Type::TEXT_ARRAY),
        (&new.expires_at, Type::TIMESTAMPTZ),
    ];
    Ok(ApiKey::from_row(&client.query_typed_one(sql, &parameters).await?)?)
}

/// Up to `limit` keys of the organization, the newest first, before one.
pub(crate) async fn list(
    client: &Client,
    organization: OrganizationId,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<ApiKey>, DbError> {
    let sql = api_key_columns!(
        "select",
        "from tenancy.api_keys k where k.organization_id = $1 and ($2::uuid is null or k.id < $2)
         order by k.id desc limit $3"
    );
    let parameters: [Bound<'_>; 3] =
        [(&organization.0, Type::UUID), (&before, Type::UUID), (&i64::from(limit), Type::INT8)];
    let rows = client.query_typed(sql, &parameters).await?;
    Ok(rows.iter().map(ApiKey::from_row).collect::<Result<_, _>>()?)
}

pub(crate) async fn find(
    client: &Client,
    organization: OrganizationId,
    id: ApiKeyId,
) -> Result<Option<ApiKey>, DbError> {
    let sql =
        api_key_columns!("select", "from tenancy.api_keys k where k.organization_id = $1 and k.id = $2");
    let row = client.query_typed_opt(sql, &[(&organization.0, Type::UUID), (&id.0, Type::UUID)]).await?;
    Ok(row.as_ref().map(ApiKey::from_row).transpose()?)
}

pub(crate) async fn revoke(client: &Client, id: ApiKeyId) -> Result<(), DbError> {
    let sql = "update tenancy.api_keys set revoked_at = clock_timestamp() where id = $1";
    client.execute_typed(sql, &[(&id.0, Type::UUID)]).await?;
    Ok(())
}

/// Until when a key is valid; `None` means without end.
pub(crate) async fn end_of(client: &Client, id: ApiKeyId) -> Result<Option<OffsetDateTime>, DbError> {
    let sql = "select k.expires_at from tenancy.api_keys k where k.id = $1";
    Ok(client.query_typed_one(sql, &[(&id.0, Type::UUID)]).await?.try_get(0)?)
}

/// How many keys of the organization have neither been revoked nor expired.
pub(crate) async fn count_valid(client: &Client, organization: OrganizationId) -> Result<i64, DbError> {
    let sql = "select count(*) from tenancy.api_keys
               where organization_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())";
    Ok(client.query_typed_one(sql, &[(&organization.0, Type::UUID)]).await?.try_get(0)?)
}

/// Why a key may not give or take a role: `owner` for that role, else a permission that it lacks; null if it may.
pub(crate) async fn refusal_of_role(
    client: &Client,
    key: ApiKeyId,
    group: super::member::Group,
    role: &str,
) -> Result<Option<String>, DbError> {
    let (organization, tenant) = group.ids();
    let parameters: [Bound<'_>; 4] =
        [(&key.0, Type::UUID), (&organization, Type::UUID), (&tenant, Type::UUID), (&role, Type::TEXT)];
    let sql = "select tenancy.refusal_of_role_by_key($1, $2, $3, $4)";
    Ok(client.query_typed_one(sql, &parameters).await?.try_get(0)?)
}
