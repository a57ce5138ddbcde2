//! The secret from which the keys of one-time codes, recovery codes and links to unsubscribe derive: `auth.key_secret` as it
//! was first. Their digests cannot be made anew, so a replaced secret is kept, sealed under the one that replaced it.

use rowhouse_crypto::KeyError;
use rowhouse_kernel::Secret;
use tokio_postgres::Client;

use super::vault::Vault;
use super::{KeyStoreError, refresh_key};
use crate::store::key;

/// What the sealed secret is bound to.
pub(super) const LABEL: &str = "root";

/// The kept secret; without one the configured secret that the stored keys are sealed with.
pub(super) async fn find(
    vault: &Vault,
    tx: &Client,
    (current, previous): (&Secret, Option<&Secret>),
) -> Result<Secret, KeyStoreError> {
    let Some(sealed) = key::find_root_secret(tx).await? else {
        let keys = key::find_refresh_key(tx).await?;
        let is_replaced = keys.is_some_and(|keys| !vault.envelope.is_current(&keys, refresh_key::LABEL));
        return Ok(previous.filter(|_| is_replaced).unwrap_or(current).clone());
    };
    let plain = vault.envelope.open(&sealed, LABEL).map_err(KeyError::from)?;
    Ok(Secret::new(String::from_utf8_lossy(&plain).into_owned()))
}

/// Keeps it under the current secret.
pub(super) async fn keep(vault: &Vault, tx: &Client, root: &Secret) -> Result<(), KeyStoreError> {
    let plain = root.expose().as_bytes();
    let sealed = vault.envelope.seal(plain, LABEL, &*vault.rng).map_err(KeyError::from)?;
    key::put_root_secret(tx, &sealed, vault.clock.now()).await
}
