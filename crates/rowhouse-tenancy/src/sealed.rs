//! Secrets of tenants' settings as they are stored: sealed bytes as text, in the form of all sealed columns. `rowhouse-auth`
//! seals them anew after `auth.key_secret` was replaced, by what is public here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rowhouse_crypto::{Envelope, EnvelopeError};
use rowhouse_db::DbError;
use rowhouse_kernel::{Rng, Secret, TenantId};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

const PREFIX: &str = "sealed:";
/// Table and column of the secrets.
pub const COLUMN: &str = "tenancy.tenant_settings.sealed";
/// Selects ids and sealed texts behind an id, at most so many, locked.
pub const SELECT: &str = "select id, sealed from tenancy.tenant_settings where sealed is not null and id > $1
     order by id limit $2 for update";
/// Replaces the sealed text of an id.
pub const UPDATE: &str = "update tenancy.tenant_settings set sealed = $2 where id = $1";

/// What the secret of a setting is bound to.
#[must_use]
pub fn label(id: Uuid) -> String {
    format!("tenant_setting/{id}")
}

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Sealed with another secret, or damaged.
    #[error(transparent)]
    Sealed(#[from] EnvelopeError),
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Seals the secret of a setting.
///
/// # Errors
/// The crypto library's.
pub fn seal(envelope: &Envelope, id: Uuid, plain: &str, rng: &dyn Rng) -> Result<String, EnvelopeError> {
    let sealed = envelope.seal(plain.as_bytes(), &label(id), rng)?;
    Ok(format!("{PREFIX}{}", STANDARD.encode(sealed)))
}

/// The secret of a tenant's setting, for the program's own use: no route returns it.
///
/// # Errors
/// [`SecretError`].
pub async fn find_secret(
    client: &Client,
    envelope: &Envelope,
    tenant: TenantId,
    name: &str,
) -> Result<Option<Secret>, SecretError> {
    let sql = "select id, sealed from tenancy.tenant_settings where tenant_id = $1 and name = $2 and sealed is not null";
    let found = client.query_typed_opt(sql, &[(&tenant.0, Type::UUID), (&name, Type::TEXT)]).await;
    let Some(row) = found.map_err(DbError::from)? else { return Ok(None) };
    let id: Uuid = row.try_get(0).map_err(DbError::from)?;
    let text: String = row.try_get(1).map_err(DbError::from)?;
    let encoded = text.strip_prefix(PREFIX).ok_or(EnvelopeError::Layout)?;
    let sealed = STANDARD.decode(encoded).map_err(|_| EnvelopeError::Layout)?;
    let plain = envelope.open(&sealed, &label(id))?;
    Ok(Some(Secret::new(String::from_utf8_lossy(&plain).into_owned())))
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::SeededRng;

    use super::*;

    #[test]
    fn secret_is_bound_to_its_setting() {
        let envelope = Envelope::new(&Secret::new("a secret")).unwrap();
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let text = seal(&envelope, id, "sesame", &*SeededRng::new(1)).unwrap();
        let sealed = STANDARD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
        assert_eq!(envelope.open(&sealed, &label(id)).unwrap().as_slice(), b"sesame");
        assert!(envelope.open(&sealed, &label(other)).is_err() && !text.contains("sesame"));
    }
}
