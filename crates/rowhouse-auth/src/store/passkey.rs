//! `auth.webauthn_credentials` and `auth.webauthn_challenges`: passkeys.

use rowhouse_crypto::webauthn::{Asserted, NewCredential};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;

/// What a ceremony is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Registration,
    Authentication,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::Authentication => "authentication",
        }
    }
}

/// A ceremony that ends here.
#[derive(Debug, Clone)]
pub(crate) struct CeremonyRow {
    pub(crate) session: Value,
    pub(crate) expires_at: OffsetDateTime,
}

/// A ceremony to begin.
#[derive(Debug, Clone)]
pub(crate) struct NewCeremony {
    pub(crate) id: Uuid,
    pub(crate) user: Option<Uuid>,
    pub(crate) purpose: Purpose,
    pub(crate) session: Value,
    pub(crate) expires_at: OffsetDateTime,
}

/// Stores a ceremony in progress; of a user's registrations only the latest.
pub(crate) async fn begin(client: &Client, new: &NewCeremony, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "with former as (delete from auth.webauthn_challenges where user_id = $2 and challenge_type = $3)
               insert into auth.webauthn_challenges (id, user_id, challenge_type, session_data, created_at, expires_at)
               values ($1, $2, $3, $4, $5, $6)";
    client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.user, Type::UUID),
                (&new.purpose.as_str(), Type::TEXT),
                (&new.session, Type::JSONB),
                (&now, Type::TIMESTAMPTZ),
                (&new.expires_at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Ends a ceremony: it is answered once, rightly or wrongly.
pub(crate) async fn end(
    client: &Client,
    id: Uuid,
    purpose: Purpose,
    user: Option<Uuid>,
) -> Result<Option<CeremonyRow>, Fault> {
    let sql = "delete from auth.webauthn_challenges
               where id = $1 and challenge_type = $2 and user_id is not distinct from $3
               returning session_data, expires_at";
    let row = client
        .query_typed_opt(sql, &[(&id, Type::UUID), (&purpose.as_str(), Type::TEXT), (&user, Type::UUID)])
        .await?;
    row.map(|row| {
        Ok(CeremonyRow { session: row.try_get("session_data")?, expires_at: row.try_get("expires_at")? })
    })
    .transpose()
}

/// A passkey as clients see it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Passkey {
    pub(crate) id: Uuid,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) friendly_name: String,
    #[serde(with = "rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) last_used_at: Option<OffsetDateTime>,
}

fn passkey(row: &Row) -> Result<Passkey, Fault> {
    Ok(Passkey {
        id: row.try_get("id")?,
        friendly_name: row.try_get("friendly_name")?,
        created_at: row.try_get("created_at")?,
        last_used_at: row.try_get("last_used_at")?,
    })
}

/// A user's passkeys, oldest first.
pub(crate) async fn list(client: &Client, user: Uuid) -> Result<Vec<Passkey>, Fault> {
    let sql = "select id, friendly_name, created_at, last_used_at from auth.webauthn_credentials
               where user_id = $1 order by created_at, id";
    client.query_typed(sql, &[(&user, Type::UUID)]).await?.iter().map(passkey).collect()
}

/// The ids that authenticators gave to a user's passkeys.
pub(crate) async fn credential_ids(client: &Client, user: Uuid) -> Result<Vec<Vec<u8>>, Fault> {
    let sql =
        "select credential_id from auth.webauthn_credentials where user_id = $1 order by created_at, id";
    let rows = client.query_typed(sql, &[(&user, Type::UUID)]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Stores a passkey; `None` if the credential is registered already, by whomever.
pub(crate) async fn insert(
    client: &Client,
    id: Uuid,
    user: Uuid,
    (new, transports, friendly_name): (&NewCredential, &[&'static str], &str),
    now: OffsetDateTime,
) -> Result<Option<Passkey>, Fault> {
    let sql = "insert into auth.webauthn_credentials (id, user_id, credential_id, public_key, attestation_type, aaguid,
                 sign_count, transports, backup_eligible, backed_up, friendly_name, created_at, updated_at)
               values ($1, $2, $3, $4, 'none', $5, $6, $7, $8, $9, $11, $10, $10)
               on conflict (credential_id) do nothing
               returning id, friendly_name, created_at, last_used_at";
    let row = client
        .query_typed_opt(
            sql,
            &[
                (&id, Type::UUID),
                (&user, Type::UUID),
                (&new.id, Type::BYTEA),
                (&new.public_key, Type::BYTEA),
                (&Uuid::from_bytes(new.aaguid), Type::UUID),
                (&i64::from(new.sign_count), Type::INT8),
                (&json!(transports), Type::JSONB),
                (&new.flags.backup_eligible, Type::BOOL),
                (&new.flags.backed_up, Type::BOOL),
                (&now, Type::TIMESTAMPTZ),
                (&friendly_name, Type::TEXT),
            ],
        )
        .await?;
    row.as_ref().map(passkey).transpose()
}

/// A passkey that somebody signs in with.
#[derive(Debug, Clone)]
pub(crate) struct CredentialRow {
    pub(crate) id: Uuid,
    pub(crate) user: Uuid,
    pub(crate) public_key: Vec<u8>,
    pub(crate) sign_count: u32,
}

/// Locks a passkey by the id that its authenticator gave it, so that its counter is read and written by one.
pub(crate) async fn lock(client: &Client, credential_id: &[u8]) -> Result<Option<CredentialRow>, Fault> {
    let sql = "select id, user_id, public_key, sign_count from auth.webauthn_credentials where credential_id = $1 for update";
    let row = client.query_typed_opt(sql, &[(&credential_id, Type::BYTEA)]).await?;
    row.map(|row| {
        let sign_count: i64 = row.try_get("sign_count")?;
        Ok(CredentialRow {
            id: row.try_get("id")?,
            user: row.try_get("user_id")?,
            public_key: row.try_get("public_key")?,
            // What does not fit was never written by an authenticator; then none can exceed it.
            sign_count: u32::try_from(sign_count).unwrap_or(u32::MAX),
        })
    })
    .transpose()
}

/// Stores that a passkey was used.
pub(crate) async fn note_use(
    client: &Client,
    id: Uuid,
    asserted: Asserted,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "update auth.webauthn_credentials
               set sign_count = $2, backed_up = $3, last_used_at = $4, updated_at = $4 where id = $1";
    client
        .execute_typed(
            sql,
            &[
                (&id, Type::UUID),
                (&i64::from(asserted.sign_count), Type::INT8),
                (&asserted.flags.backed_up, Type::BOOL),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Renames a user's passkey; `None` if there is none such.
pub(crate) async fn rename(
    client: &Client,
    user: Uuid,
    id: Uuid,
    friendly_name: &str,
    now: OffsetDateTime,
) -> Result<Option<Passkey>, Fault> {
    let sql = "update auth.webauthn_credentials set friendly_name = $3, updated_at = $4 where id = $2 and user_id = $1
               returning id, friendly_name, created_at, last_used_at";
    let row = client
        .query_typed_opt(
            sql,
            &[
                (&user, Type::UUID),
                (&id, Type::UUID),
                (&friendly_name, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    row.as_ref().map(passkey).transpose()
}

/// Deletes a user's passkey. False if there is none such.
pub(crate) async fn delete(client: &Client, user: Uuid, id: Uuid) -> Result<bool, Fault> {
    let sql = "delete from auth.webauthn_credentials where id = $2 and user_id = $1";
    Ok(client.execute_typed(sql, &[(&user, Type::UUID), (&id, Type::UUID)]).await? == 1)
}
