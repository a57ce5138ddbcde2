//! `auth.mfa_recovery_codes`: digests only.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;

/// A code to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewCode {
    pub(crate) id: Uuid,
    pub(crate) digest: String,
}

/// Replaces a user's codes.
pub(crate) async fn replace(
    client: &Client,
    user: Uuid,
    codes: &[NewCode],
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let ids: Vec<Uuid> = codes.iter().map(|code| code.id).collect();
    let digests: Vec<&str> = codes.iter().map(|code| code.digest.as_str()).collect();
    let sql = "with former as (delete from auth.mfa_recovery_codes where user_id = $1)
               insert into auth.mfa_recovery_codes (id, user_id, code_hash, created_at)
               select id, $1, digest, $4 from unnest($2, $3) as new (id, digest)";
    client
        .execute_typed(
            sql,
            &[
                (&user, Type::UUID),
                (&ids, Type::UUID_ARRAY),
                (&digests, Type::TEXT_ARRAY),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Uses a code up. False if there is none such, or it was used.
pub(crate) async fn spend(
    client: &Client,
    user: Uuid,
    digest: &str,
    now: OffsetDateTime,
) -> Result<bool, Fault> {
    let sql = "update auth.mfa_recovery_codes set used_at = $3
               where user_id = $1 and code_hash = $2 and used_at is null";
    let count = client
        .execute_typed(sql, &[(&user, Type::UUID), (&digest, Type::TEXT), (&now, Type::TIMESTAMPTZ)])
        .await?;
    Ok(count == 1)
}

/// How many codes a user has left.
pub(crate) async fn count(client: &Client, user: Uuid) -> Result<i64, Fault> {
    let sql = "select count(*) from auth.mfa_recovery_codes where user_id = $1 and used_at is null";
    Ok(client.query_typed_one(sql, &[(&user, Type::UUID)]).await?.try_get(0)?)
}

/// Deletes the codes of a user without a verified factor: there is nothing left to stand in for.
pub(crate) async fn delete_without_factor(client: &Client, user: Uuid) -> Result<(), Fault> {
    let sql = "delete from auth.mfa_recovery_codes where user_id = $1 and not exists (
                 select from auth.mfa_factors f where f.user_id = $1 and f.status = 'verified')";
    client.execute_typed(sql, &[(&user, Type::UUID)]).await?;
    Ok(())
}
