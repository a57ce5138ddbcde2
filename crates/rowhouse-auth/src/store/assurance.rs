//! Assurance levels of sessions: `aal` and `factor_id` in `auth.sessions`, methods in `auth.mfa_amr_claims`.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::method::Method;

/// What a session was authenticated by in addition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    /// The factor, unless a recovery code stood in for it.
    pub(crate) factor: Option<Uuid>,
    pub(crate) method: Method,
    /// Id of the entry that keeps the method.
    pub(crate) claim: Uuid,
}

/// Locks a user's row, so that changes of their factors and sessions are serialized.
pub(crate) async fn lock_user(client: &Client, user: Uuid) -> Result<(), Fault> {
    let sql = "select from auth.users where id = $1 for no key update";
    client.query_typed_opt(sql, &[(&user, Type::UUID)]).await?;
    Ok(())
}

/// Raises a session to `aal2`, and ends the user's sessions without a second factor. One of an application has the factor that
/// the user who agreed had verified.
pub(crate) async fn raise(
    client: &Client,
    session: Uuid,
    user: Uuid,
    proof: Proof,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with claim as (
                 insert into auth.mfa_amr_claims as c (id, session_id, authentication_method, created_at, updated_at)
                 values ($4, $1, $5, $6, $6)
                 on conflict (session_id, authentication_method) do update set updated_at = $6
               ), raised as (
                 update auth.sessions set aal = 'aal2', factor_id = $3, updated_at = $6 where id = $1
               )
               delete from auth.sessions where user_id = $2 and id <> $1 and coalesce(aal, 'aal1') < 'aal2' and factor_id is null";
    client
        .execute_typed(
            sql,
            &[
                (&session, Type::UUID),
                (&user, Type::UUID),
                (&proof.factor, Type::UUID),
                (&proof.claim, Type::UUID),
                (&proof.method.as_str(), Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Takes sessions that a factor has raised back to `aal1`.
pub(crate) async fn lower(
    client: &Client,
    factor: Uuid,
    method: Method,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with claims as (
                 delete from auth.mfa_amr_claims c using auth.sessions s
                 where s.factor_id = $1 and c.session_id = s.id and c.authentication_method = $2
               )
               update auth.sessions set aal = 'aal1', factor_id = null, updated_at = $3 where factor_id = $1";
    client
        .execute_typed(
            sql,
            &[(&factor, Type::UUID), (&method.as_str(), Type::TEXT), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(())
}
