//! `auth.api_keys`.

use rowhouse_db::DbError;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::key_store::ApiKeyInfo;

/// Most revoked keys that a process holds in memory (some 100 bytes each).
pub(crate) const MAX_REVOKED: i64 = 10_000;

/// Stores an issued key.
pub(crate) async fn insert(client: &Client, key: &ApiKeyInfo) -> Result<(), DbError> {
    let sql = "insert into auth.api_keys (id, kid, role, issued_at, expires_at) values ($1, $2, $3, $4, $5)";
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&key.id, Type::UUID),
        (&key.kid, Type::TEXT),
        (&key.role, Type::TEXT),
        (&key.issued_at, Type::TIMESTAMPTZ),
        (&key.expires_at, Type::TIMESTAMPTZ),
    ];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Unexpired keys, revoked or not, whose signing key is in use; oldest first.
pub(crate) async fn list(client: &Client, now: OffsetDateTime) -> Result<Vec<ApiKeyInfo>, DbError> {
    let sql = "select k.id, k.kid, k.role, k.issued_at, k.expires_at, k.revoked_at
               from auth.api_keys k join auth.signing_keys s on s.kid = k.kid and s.status <> 'removed'
               where k.expires_at > $1 order by k.issued_at, k.id";
    let rows = client.query_typed(sql, &[(&now, Type::TIMESTAMPTZ)]).await?;
    let info = |row: &tokio_postgres::Row| {
        Ok(ApiKeyInfo {
            id: row.try_get("id")?,
            kid: row.try_get("kid")?,
            role: row.try_get("role")?,
            issued_at: row.try_get("issued_at")?,
            expires_at: row.try_get("expires_at")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    };
    rows.iter().map(info).collect::<Result<_, tokio_postgres::Error>>().map_err(DbError::from)
}

/// Ids of revoked keys whose signing key is in use; the latest first.
pub(crate) async fn list_revoked(client: &Client) -> Result<Vec<Uuid>, DbError> {
    let sql = "select k.id from auth.api_keys k
               join auth.signing_keys s on s.kid = k.kid and s.status <> 'removed'
               where k.revoked_at is not null and k.expires_at > now() order by k.revoked_at desc limit $1";
    let rows = client.query_typed(sql, &[(&MAX_REVOKED, Type::INT8)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Revokes a key. False if there is none of that id.
pub(crate) async fn revoke(client: &Client, id: Uuid, now: OffsetDateTime) -> Result<bool, DbError> {
    let sql = "update auth.api_keys set revoked_at = coalesce(revoked_at, $2) where id = $1";
    Ok(client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await? == 1)
}
