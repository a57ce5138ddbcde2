//! Conversion between stored rows and keys, and the changes that a rotation or revocation makes in the store. Leaves
//! the ring in use and notifications to the parent module.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_audit::Entry;
use rowhouse_crypto::{Algorithm, Envelope, Key, KeyPair, KeyRing, Purpose, Status, TrustedKeys};
use rowhouse_kernel::{SharedClock, SharedRng};
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{KeyStoreError, Revoked};
use crate::store::api_key;
use crate::store::key::{self, KeyRow};

/// Seals and unseals stored keys.
#[derive(Debug)]
pub(super) struct Vault {
    pub(super) envelope: Arc<Envelope>,
    pub(super) trusted: Option<TrustedKeys>,
    /// Algorithm of new keys.
    pub(super) algorithm: Algorithm,
    pub(super) clock: SharedClock,
    pub(super) rng: SharedRng,
}

impl Vault {
    /// Under the lock: creates missing signing and standby keys, and returns all rows.
    pub(super) async fn complete(&self, tx: &Client) -> Result<Vec<KeyRow>, KeyStoreError> {
        key::lock(tx).await?;
        let mut rows = key::list(tx).await?;
        for (purpose, status) in missing(&rows) {
            let pair = KeyPair::generate(self.algorithm)?;
            let private_sealed = pair.seal(&self.envelope, &*self.rng)?;
            let row = KeyRow {
                jwk: pair.jwk().clone(),
                purpose,
                status,
                private_sealed,
                created_at: self.clock.now(),
                rotated_at: None,
            };
            key::insert(tx, &row).await?;
            rows.push(row);
        }
        Ok(rows)
    }

    /// See [`KeyStore::rotate`]; retired access keys are kept for `keep`.
    pub(super) async fn rotate(
        &self,
        tx: &Client,
        purpose: Purpose,
        keep: Duration,
    ) -> Result<(), KeyStoreError> {
        let rows = self.complete(tx).await?;
        let next = rows.iter().find(|row| row.purpose == purpose && row.status == Status::Standby);
        let next = next.ok_or(KeyStoreError::NoStandby)?;
        let now = self.clock.now();
        key::retire_signer(tx, purpose, now).await?;
        key::promote(tx, &next.jwk.kid).await?;
        key::remove_expired(tx, now - keep).await?;
        self.complete(tx).await?;
        Ok(())
    }

    /// See [`KeyStore::revoke`].
    pub(super) async fn revoke(
        &self,
        tx: &Client,
        id: &str,
        keep: Duration,
    ) -> Result<Option<Revoked>, KeyStoreError> {
        key::lock(tx).await?;
        let row = key::list(tx).await?.into_iter().find(|row| row.jwk.kid == id);
        let revoked = match (row.map(|row| (row.purpose, row.status)), id.parse()) {
            (Some((purpose, Status::Signing)), _) => {
                self.rotate(tx, purpose, keep).await?;
                key::remove(tx, id).await?;
                Some(Revoked::Signer(purpose))
            }
            (Some((purpose, _)), _) => {
                key::remove(tx, id).await?;
                self.complete(tx).await?;
                Some(Revoked::SigningKey(purpose))
            }
            (None, Ok(jti)) if api_key::revoke(tx, jti, self.clock.now()).await? => Some(Revoked::ApiKey),
            (None, _) => None,
        };
        if let Some(revoked) = revoked {
            let kind = if revoked == Revoked::ApiKey { "api_key" } else { "signing_key" };
            note(tx, "key_revoked", (kind, id), json!({})).await?;
        }
        Ok(revoked)
    }

    pub(super) fn ring(&self, rows: &[KeyRow], revoked: &[Uuid]) -> Result<KeyRing, KeyStoreError> {
        let keys = rows.iter().map(|row| self.key(row)).collect::<Result<_, _>>()?;
        Ok(KeyRing::new(keys, self.trusted.clone())?.without(revoked.iter().map(Uuid::to_string)))
    }

    fn key(&self, row: &KeyRow) -> Result<Key, KeyStoreError> {
        Ok(match row.status {
            Status::Verifying => Key::public(row.jwk.clone(), row.purpose)?,
            status => Key::new(
                KeyPair::unseal(&row.private_sealed, &row.jwk, &self.envelope)?,
                row.purpose,
                status,
            )?,
        })
    }
}

/// Writes audit entries for keys.
pub(super) async fn note(
    tx: &Client,
    action: &str,
    (target_kind, target_id): (&str, &str),
    details: serde_json::Value,
) -> Result<(), KeyStoreError> {
    let details = details.as_object().cloned().unwrap_or_default();
    let entry = Entry { source: "auth", action, target_kind, target_id, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    Ok(())
}

/// Missing keys: every purpose needs a signing and a standby key.
pub(super) fn missing(rows: &[KeyRow]) -> Vec<(Purpose, Status)> {
    let needed =
        Purpose::ALL.into_iter().flat_map(|purpose| [(purpose, Status::Signing), (purpose, Status::Standby)]);
    needed.filter(|needed| !rows.iter().any(|row| (row.purpose, row.status) == *needed)).collect()
}
