//! `auth.mfa_challenges`.

use std::net::IpAddr;

use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;

/// Challenges kept per factor: older ones are forgotten.
const MOST: i64 = 10;

/// A challenge that waits for its answer.
#[derive(Debug, Clone)]
pub(crate) struct ChallengeRow {
    pub(crate) id: Uuid,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) verified_at: Option<OffsetDateTime>,
    /// The address of the client that asked for it.
    pub(crate) address: Option<IpAddr>,
    /// Of WebAuthn.
    pub(crate) session: Option<Value>,
    /// Digest of a code in a message.
    pub(crate) otp_code: Option<String>,
}

/// A challenge to a factor.
#[derive(Debug, Clone)]
pub(crate) struct NewChallenge {
    pub(crate) id: Uuid,
    pub(crate) factor: Uuid,
    pub(crate) address: Option<IpAddr>,
    pub(crate) session: Option<Value>,
    pub(crate) otp_code: Option<String>,
}

/// Stores a challenge to a factor.
pub(crate) async fn insert(client: &Client, new: &NewChallenge, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "with surplus as (
                 delete from auth.mfa_challenges where id = any (array(
                   select c.id from auth.mfa_challenges c where c.factor_id = $2
                   order by c.created_at desc, c.id desc offset $5))
               ), factor as (
                 update auth.mfa_factors set last_challenged_at = $4 where id = $2
               )
               insert into auth.mfa_challenges (id, factor_id, created_at, ip_address, web_authn_session_data, otp_code)
               values ($1, $2, $4, $3, $6, $7)";
    client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.factor, Type::UUID),
                (&new.address, Type::INET),
                (&now, Type::TIMESTAMPTZ),
                (&(MOST - 1), Type::INT8),
                (&new.session, Type::JSONB),
                (&new.otp_code, Type::TEXT),
            ],
        )
        .await?;
    Ok(())
}

/// Locks a challenge to a factor: it is answered once.
pub(crate) async fn lock(client: &Client, id: Uuid, factor: Uuid) -> Result<Option<ChallengeRow>, Fault> {
    let sql =
        "select id, created_at, verified_at, ip_address, web_authn_session_data, otp_code from auth.mfa_challenges
               where id = $1 and factor_id = $2 for update";
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID), (&factor, Type::UUID)]).await?;
    row.map(|row| {
        Ok(ChallengeRow {
            id: row.try_get("id")?,
            created_at: row.try_get("created_at")?,
            verified_at: row.try_get("verified_at")?,
            address: row.try_get("ip_address")?,
            session: row.try_get("web_authn_session_data")?,
            otp_code: row.try_get("otp_code")?,
        })
    })
    .transpose()
}

/// Stores that a challenge was answered.
pub(crate) async fn note_answer(client: &Client, id: Uuid, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "update auth.mfa_challenges set verified_at = $2 where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}
