//! The key of refresh tokens: generated once, sealed like the signing keys. Neither the database nor `auth.key_secret` alone
//! makes a token.

use std::sync::Arc;

use rowhouse_crypto::{CounterKey, KeyError};
use tokio_postgres::Client;

use super::KeyStoreError;
use super::vault::Vault;
use crate::store::key;

/// What the sealed key is bound to.
pub(super) const LABEL: &str = "refresh";
/// For what the second key is derived.
const CLIENTS: &str = "rowhouse/refresh/client";

/// Two keys, so that neither kind of token is ever taken for the other.
#[derive(Debug, Clone)]
pub(crate) struct RefreshKeys {
    /// Of tokens of users' own sessions.
    pub(crate) own: Arc<CounterKey>,
    /// Of tokens of applications.
    pub(crate) client: Arc<CounterKey>,
}

/// Under the lock of the ring: reads the key, generated if there is none.
pub(super) async fn ensure(vault: &Vault, tx: &Client) -> Result<RefreshKeys, KeyStoreError> {
    let bytes = match key::find_refresh_key(tx).await? {
        Some(sealed) => vault.envelope.open(&sealed, LABEL).map_err(KeyError::from)?,
        None => {
            let bytes = CounterKey::generate(&*vault.rng);
            let sealed = vault.envelope.seal(&bytes, LABEL, &*vault.rng).map_err(KeyError::from)?;
            key::put_refresh_key(tx, &sealed, vault.clock.now()).await?;
            bytes
        }
    };
    Ok(RefreshKeys {
        own: Arc::new(CounterKey::new(&bytes)),
        client: Arc::new(CounterKey::derived(&bytes, CLIENTS)),
    })
}
