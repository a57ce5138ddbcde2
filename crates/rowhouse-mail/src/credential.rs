//! Credentials for SMTP submission. A secret is shown once; its digest is stored.

use rowhouse_crypto::{OpaqueSecret, digest_hex};
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Origin, Rng, SERVICE_ROLE, Secret, TenantId};
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::Client;

use crate::error::MailError;

/// Rows of a list.
const MOST_LISTED: i64 = 1000;

/// A credential without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// The user name.
    pub name: String,
    /// The tenant of its mails.
    pub tenant: Option<TenantId>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last used, to the hour.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
}

/// Creates a credential and returns its secret, which is not shown again.
///
/// # Errors
/// [`MailError::Invalid`] for a name that is taken or malformed, and for a tenant that is not active; else the database's.
pub async fn create(
    client: &Client,
    name: &str,
    tenant: Option<TenantId>,
    rng: &dyn Rng,
) -> Result<OpaqueSecret, MailError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.@-".contains(&b);
    let is_name = (1..=100).contains(&name.len())
        && name.bytes().all(fits)
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name != SERVICE_ROLE;
    if !is_name {
        let text = "name: expected 1 to 100 letters, digits and _.@-, beginning with a letter or digit; service_role is taken";
        return Err(MailError::invalid(text));
    }
    if let Some(tenant) = tenant {
        crate::sender::require_tenant(client, tenant).await?;
    }
    let secret = OpaqueSecret::generate(rng);
    let sql =
        "insert into mail.credentials (name, digest, tenant) values ($1, $2, $3) on conflict do nothing";
    let made = client.execute(sql, &[&name, &secret.digest(), &tenant.map(|tenant| tenant.0)]).await;
    match made.map_err(DbError::from)? {
        0 => Err(MailError::invalid(format!("name: there is a credential {name} already"))),
        _ => Ok(secret),
    }
}

/// All credentials, by name; the first thousand of them.
///
/// # Errors
/// The database's.
pub async fn list(client: &Client) -> Result<Vec<Credential>, DbError> {
    let sql = "select name, tenant, created_at, last_used_at, revoked_at from mail.credentials order by name limit $1";
    let rows = client.query(sql, &[&MOST_LISTED]).await?;
    let credential = |row: &tokio_postgres::Row| Credential {
        name: row.get(0),
        tenant: row.get::<_, Option<uuid::Uuid>>(1).map(TenantId),
        created_at: row.get(2),
        last_used_at: row.get(3),
        revoked_at: row.get(4),
    };
    Ok(rows.iter().map(credential).collect())
}

/// Revokes a credential; its sessions end within a minute. False if there is no valid one of that name.
///
/// # Errors
/// The database's.
pub async fn revoke(client: &Client, name: &str) -> Result<bool, DbError> {
    let sql =
        "update mail.credentials set revoked_at = clock_timestamp() where name = $1 and revoked_at is null";
    Ok(client.execute(sql, &[&name]).await? > 0)
}

/// Refuses if one of the credentials is revoked or deleted.
pub(crate) async fn require_good(client: &Client, names: &[&str]) -> Result<(), MailError> {
    if names.is_empty() {
        return Ok(());
    }
    let sql = "select count(*) from unnest($1::text[]) as n (name) \
               where not exists (select from mail.credentials c where c.name = n.name and c.revoked_at is null)";
    let row = client.query_one(sql, &[&names]).await.map_err(DbError::from)?;
    if row.get::<_, i64>(0) == 0 { Ok(()) } else { Err(MailError::Revoked) }
}

/// The tenant of a valid credential; `None` if name and secret do not match or it is revoked.
pub(crate) async fn check(
    control: &Control,
    origin: &Origin,
    name: String,
    secret: Secret,
) -> Result<Option<Option<TenantId>>, DbError> {
    let digest = digest_hex(secret.expose());
    let row = control
        .run_tx(&origin.operation("mail.sign_in"), async move |tx: &rowhouse_db::Transaction<'_>| {
            tx.query_opt(include_str!("../sql/sign_in.sql"), &[&name, &digest]).await.map_err(DbError::from)
        })
        .await?;
    Ok(row.map(|row| row.get::<_, Option<uuid::Uuid>>(0).map(TenantId)))
}
