//! `auth.signing_keys`, `auth.refresh_keys` and `auth.root_secrets`.

use rowhouse_crypto::{Jwk, KeyError, Purpose, Status};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::KeyStoreError;

/// The channel on which triggers notify every process of a changed ring.
pub(crate) const CHANNEL: &str = "rowhouse_keys";

/// A stored key. Removed ones are never read.
#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) jwk: Jwk,
    pub(crate) purpose: Purpose,
    pub(crate) status: Status,
    /// Empty once the key is retired.
    pub(crate) private_sealed: Vec<u8>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) rotated_at: Option<OffsetDateTime>,
}

/// Locks the ring for changes until the transaction ends, by a row: everybody in the database may take advisory locks.
pub(crate) async fn lock(client: &Client) -> Result<(), KeyStoreError> {
    client.execute_typed("select from auth.key_version for no key update", &[]).await?;
    Ok(())
}

/// Every key in use, oldest first.
pub(crate) async fn list(client: &Client) -> Result<Vec<KeyRow>, KeyStoreError> {
    let sql = "select kid, purpose, status, public_jwk, private_sealed, created_at, rotated_at
               from auth.signing_keys where status <> 'removed' order by created_at, kid";
    let rows = client.query_typed(sql, &[]).await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &tokio_postgres::Row) -> Result<KeyRow, KeyStoreError> {
    let kid: String = row.try_get("kid")?;
    let malformed = || KeyStoreError::Row { kid: kid.clone() };
    let jwk: Value = row.try_get("public_jwk")?;
    Ok(KeyRow {
        jwk: serde_json::from_value(jwk).ok().filter(|jwk: &Jwk| jwk.kid == kid).ok_or_else(malformed)?,
        purpose: Purpose::parse(row.try_get("purpose")?).ok_or_else(malformed)?,
        status: Status::parse(row.try_get("status")?).ok_or_else(malformed)?,
        private_sealed: row.try_get("private_sealed")?,
        created_at: row.try_get("created_at")?,
        rotated_at: row.try_get("rotated_at")?,
    })
}

/// Adds a key.
pub(crate) async fn insert(client: &Client, key: &KeyRow) -> Result<(), KeyStoreError> {
    let sql = "insert into auth.signing_keys (kid, purpose, algorithm, status, public_jwk, private_sealed, created_at)
               values ($1, $2, $3, $4, $5, $6, $7)";
    let jwk = serde_json::to_value(&key.jwk).map_err(KeyError::from)?;
    client
        .execute_typed(
            sql,
            &[
                (&key.jwk.kid, Type::TEXT),
                (&key.purpose.as_str(), Type::TEXT),
                (&key.jwk.alg.as_str(), Type::TEXT),
                (&key.status.as_str(), Type::TEXT),
                (&jwk, Type::JSONB),
                (&key.private_sealed, Type::BYTEA),
                (&key.created_at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Replaces the sealed private half of a key.
pub(crate) async fn put_private(client: &Client, kid: &str, sealed: &[u8]) -> Result<(), KeyStoreError> {
    let sql = "update auth.signing_keys set private_sealed = $2 where kid = $1 and private_sealed <> ''";
    client.execute_typed(sql, &[(&kid, Type::TEXT), (&sealed, Type::BYTEA)]).await?;
    Ok(())
}

/// The signing key of `purpose` stops signing; its private half is destroyed.
pub(crate) async fn retire_signer(
    client: &Client,
    purpose: Purpose,
    now: OffsetDateTime,
) -> Result<(), KeyStoreError> {
    let sql = "update auth.signing_keys set status = 'verifying', rotated_at = $2, private_sealed = ''
               where purpose = $1 and status = 'signing'";
    client.execute_typed(sql, &[(&purpose.as_str(), Type::TEXT), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// The standby key begins to sign.
pub(crate) async fn promote(client: &Client, kid: &str) -> Result<(), KeyStoreError> {
    let sql = "update auth.signing_keys set status = 'signing' where kid = $1 and status = 'standby'";
    client.execute_typed(sql, &[(&kid, Type::TEXT)]).await?;
    Ok(())
}

/// Removes access keys that retired before `before`: all their tokens have expired.
pub(crate) async fn remove_expired(client: &Client, before: OffsetDateTime) -> Result<u64, KeyStoreError> {
    let sql = "update auth.signing_keys set status = 'removed', private_sealed = ''
               where purpose = 'access' and status = 'verifying' and rotated_at < $1";
    Ok(client.execute_typed(sql, &[(&before, Type::TIMESTAMPTZ)]).await?)
}

/// Removes a key that does not sign.
pub(crate) async fn remove(client: &Client, kid: &str) -> Result<(), KeyStoreError> {
    let sql = "update auth.signing_keys set status = 'removed', private_sealed = '' where kid = $1 and status <> 'signing'";
    client.execute_typed(sql, &[(&kid, Type::TEXT)]).await?;
    Ok(())
}

/// Removes every key of `purpose` that only verifies; returns their kids.
pub(crate) async fn remove_verifying(
    client: &Client,
    purpose: Purpose,
) -> Result<Vec<String>, KeyStoreError> {
    let sql = "update auth.signing_keys set status = 'removed', private_sealed = ''
               where purpose = $1 and status = 'verifying' returning kid";
    let rows = client.query_typed(sql, &[(&purpose.as_str(), Type::TEXT)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// The version of the ring, which counts changes and revocations.
pub(crate) async fn version(client: &Client) -> Result<i64, KeyStoreError> {
    Ok(client.query_typed_one("select version from auth.key_version", &[]).await?.try_get(0)?)
}

/// The sealed key of refresh tokens.
pub(crate) async fn find_refresh_key(client: &Client) -> Result<Option<Vec<u8>>, KeyStoreError> {
    let row = client.query_typed_opt("select sealed from auth.refresh_keys", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Stores the sealed key of refresh tokens in place of the former one.
pub(crate) async fn put_refresh_key(
    client: &Client,
    sealed: &[u8],
    now: OffsetDateTime,
) -> Result<(), KeyStoreError> {
    let sql = "insert into auth.refresh_keys (sealed, created_at) values ($1, $2)
               on conflict (id) do update set sealed = excluded.sealed";
    client.execute_typed(sql, &[(&sealed, Type::BYTEA), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// The sealed first secret, if it was replaced.
pub(crate) async fn find_root_secret(client: &Client) -> Result<Option<Vec<u8>>, KeyStoreError> {
    let row = client.query_typed_opt("select sealed from auth.root_secrets", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Stores the sealed first secret in place of the former value.
pub(crate) async fn put_root_secret(
    client: &Client,
    sealed: &[u8],
    now: OffsetDateTime,
) -> Result<(), KeyStoreError> {
    let sql = "insert into auth.root_secrets (sealed, created_at) values ($1, $2)
               on conflict (id) do update set sealed = excluded.sealed";
    client.execute_typed(sql, &[(&sealed, Type::BYTEA), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}
