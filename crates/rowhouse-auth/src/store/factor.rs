//! `auth.mfa_factors`.

use rowhouse_db::DbError;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::factor::FactorType;
use crate::fault::Fault;

/// A factor with what clients never see.
#[derive(Debug, Clone)]
pub(crate) struct FactorRow {
    pub(crate) id: Uuid,
    pub(crate) kind: FactorType,
    pub(crate) is_verified: bool,
    /// Of TOTP: sealed, or base32 if it was imported.
    pub(crate) secret: Option<String>,
    /// The last time step whose code was accepted.
    pub(crate) last_step: Option<i64>,
    /// Of a factor of the kind `phone`.
    pub(crate) phone: Option<String>,
    /// Of WebAuthn, once verified.
    pub(crate) credential: Option<Value>,
    /// Wrong codes in a row.
    pub(crate) failed_attempts: i32,
    /// No code is compared before.
    pub(crate) locked_until: Option<OffsetDateTime>,
}

impl FactorRow {
    fn from_row(row: &Row) -> Result<Option<Self>, Fault> {
        let kind: String = row.try_get("factor_type")?;
        let Some(kind) = FactorType::parse(&kind) else { return Ok(None) };
        Ok(Some(Self {
            id: row.try_get("id")?,
            kind,
            is_verified: row.try_get("is_verified")?,
            secret: row.try_get("secret")?,
            last_step: row.try_get("last_totp_step")?,
            phone: row.try_get("phone")?,
            credential: row.try_get("web_authn_credential")?,
            failed_attempts: row.try_get("failed_attempts")?,
            locked_until: row.try_get("locked_until")?,
        }))
    }
}

/// Locks a factor of a user.
pub(crate) async fn lock(client: &Client, id: Uuid, user: Uuid) -> Result<Option<FactorRow>, Fault> {
    let sql =
        "select id, factor_type::text, status = 'verified' as is_verified, secret, last_totp_step, failed_attempts,
                 locked_until, web_authn_credential, phone
               from auth.mfa_factors where id = $1 and user_id = $2 for update";
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID), (&user, Type::UUID)]).await?;
    row.as_ref().map_or(Ok(None), FactorRow::from_row)
}

/// What a right answer leaves to be stored.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// The time step of a code.
    pub(crate) step: Option<i64>,
    /// The secret, if it was not sealed yet.
    pub(crate) secret: Option<String>,
    pub(crate) credential: Option<Value>,
    /// The authenticator's model.
    pub(crate) aaguid: Option<Uuid>,
}

/// A factor to be enrolled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewFactor<'a> {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) kind: FactorType,
    pub(crate) friendly_name: &'a str,
    pub(crate) secret: Option<&'a str>,
    pub(crate) phone: Option<&'a str>,
}

/// Stores a factor that is not verified yet.
pub(crate) async fn insert(client: &Client, new: NewFactor<'_>, now: OffsetDateTime) -> Result<(), Fault> {
    let sql =
        "insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, secret, created_at, updated_at, phone)
               values ($1, $2, $3, $4::text::auth.factor_type, 'unverified', $5, $6, $6, $7)";
    client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.user, Type::UUID),
                (&new.friendly_name, Type::TEXT),
                (&new.kind.as_str(), Type::TEXT),
                (&new.secret, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
                (&new.phone, Type::TEXT),
            ],
        )
        .await?;
    Ok(())
}

/// Deletes a user's factor with a number, if it is not verified.
pub(crate) async fn delete_unverified_phone(client: &Client, user: Uuid, phone: &str) -> Result<(), Fault> {
    let sql = "delete from auth.mfa_factors where user_id = $1 and status = 'unverified' and phone = $2";
    client.execute_typed(sql, &[(&user, Type::UUID), (&phone, Type::TEXT)]).await?;
    Ok(())
}

/// Deletes a user's factors that were neither verified nor challenged since `since`.
pub(crate) async fn delete_abandoned(
    client: &Client,
    user: Uuid,
    since: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "delete from auth.mfa_factors
               where user_id = $1 and status = 'unverified' and greatest(created_at, last_challenged_at) < $2";
    client.execute_typed(sql, &[(&user, Type::UUID), (&since, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// Deletes a user's factors that are not verified, of any kind.
pub(crate) async fn delete_unverified(client: &Client, user: Uuid) -> Result<(), Fault> {
    let sql = "delete from auth.mfa_factors where user_id = $1 and status = 'unverified'";
    client.execute_typed(sql, &[(&user, Type::UUID)]).await?;
    Ok(())
}

/// Deletes a factor with its challenges.
pub(crate) async fn delete(client: &Client, id: Uuid) -> Result<(), Fault> {
    client.execute_typed("delete from auth.mfa_factors where id = $1", &[(&id, Type::UUID)]).await?;
    Ok(())
}

/// Stores that the factor was proved: it is verified, and its failures are forgotten.
pub(crate) async fn note_success(
    client: &Client,
    id: Uuid,
    learned: &Learned,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "update auth.mfa_factors
               set status = 'verified', secret = coalesce($2, secret), last_totp_step = coalesce($3, last_totp_step),
                 web_authn_credential = coalesce($4, web_authn_credential),
                 web_authn_aaguid = coalesce($5, web_authn_aaguid),
                 failed_attempts = 0, locked_until = null, updated_at = $6
               where id = $1";
    client
        .execute_typed(
            sql,
            &[
                (&id, Type::UUID),
                (&learned.secret, Type::TEXT),
                (&learned.step, Type::INT8),
                (&learned.credential, Type::JSONB),
                (&learned.aaguid, Type::UUID),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// The credentials of a user's verified factors of WebAuthn.
pub(crate) async fn credentials(client: &Client, user: Uuid) -> Result<Vec<Value>, Fault> {
    let sql = "select web_authn_credential from auth.mfa_factors
               where user_id = $1 and factor_type = 'webauthn' and status = 'verified' and web_authn_credential is not null
               order by created_at, id";
    let rows = client.query_typed(sql, &[(&user, Type::UUID)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Counts a wrong code, and refuses further ones until `locked_until`.
pub(crate) async fn note_failure(
    client: &Client,
    id: Uuid,
    locked_until: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "update auth.mfa_factors
               set failed_attempts = failed_attempts + 1, locked_until = $2, updated_at = $3
               where id = $1";
    client
        .execute_typed(
            sql,
            &[(&id, Type::UUID), (&locked_until, Type::TIMESTAMPTZ), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(())
}

/// Why a factor cannot be renamed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenameError {
    /// Another factor of the user has the name.
    #[error("A factor with this friendly name already exists")]
    Taken,
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Gives a factor another name.
pub(crate) async fn rename(
    client: &Client,
    id: Uuid,
    friendly_name: &str,
    now: OffsetDateTime,
) -> Result<(), RenameError> {
    let sql = "update auth.mfa_factors set friendly_name = $2, updated_at = $3 where id = $1";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&id, Type::UUID), (&friendly_name, Type::TEXT), (&now, Type::TIMESTAMPTZ)];
    match client.execute_typed(sql, &parameters).await.map_err(DbError::from) {
        Ok(_) => Ok(()),
        Err(error) if error.constraint() == Some("mfa_factors_user_friendly_name_unique") => {
            Err(RenameError::Taken)
        }
        Err(error) => Err(Fault::from(error).into()),
    }
}
