//! The key ring as the database keeps it: created at first start, reloaded when another process changes it, rotated
//! without breaking a live token.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rowhouse_crypto::{
    Algorithm, ChainKey, Envelope, Jwk, Key, KeyError, KeyPair, KeyRing, Purpose, Status, TrustedKeys,
};
use rowhouse_db::{Control, DbError, Heard, TransactionError};
use rowhouse_kernel::settings::{AuthSettings, SigningAlgorithm};
use rowhouse_kernel::{Operation, Secret, SharedClock, SharedRng};
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_postgres::Client;

use crate::store::key::{self, KeyRow};

/// How long API keys live unless asked otherwise: ten years.
pub const API_KEY_LIFETIME: time::Duration = time::Duration::days(3653);
/// How long after the last token's death a retired access key stays: clocks differ, answers are slow.
const GRACE: Duration = Duration::from_secs(300);

/// Why the key ring cannot be loaded, changed or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// Nothing opens the stored keys.
    #[error("auth.key_secret is not set")]
    NoSecret,
    /// A key could not be made, loaded or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A stored key makes no sense.
    #[error("auth.signing_keys: the row {kid} is malformed")]
    Row {
        /// Which key.
        kid: String,
    },
    /// A rotation found no key to go on with.
    #[error("there is no standby key")]
    NoStandby,
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<tokio_postgres::Error> for KeyStoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl TransactionError for KeyStoreError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// A key as `keys list` shows it.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// Its public half, with kid and algorithm.
    pub jwk: Jwk,
    /// What it signs.
    pub purpose: Purpose,
    /// Where it stands.
    pub status: Status,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it stopped signing.
    pub rotated_at: Option<OffsetDateTime>,
}

/// The ring and its place in the database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KeyStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Arc<ArcSwap<KeyRing>>,
    vault: Arc<Vault>,
    control: Control,
    secret: Secret,
    token_lifetime: Duration,
}

/// Turns rows into keys and keys into rows.
#[derive(Debug)]
struct Vault {
    envelope: Envelope,
    trusted: Option<TrustedKeys>,
    /// Of keys made from now on.
    algorithm: Algorithm,
    clock: SharedClock,
    rng: SharedRng,
}

impl KeyStore {
    /// Loads the ring, creating what is missing; any number of processes may start at once.
    ///
    /// # Errors
    /// Without `auth.key_secret`, with an unusable `auth.jwt_secret`, with another `key_secret` than the stored keys were sealed with, or without database.
    pub async fn open(
        control: Control,
        settings: &AuthSettings,
        clock: SharedClock,
        rng: SharedRng,
    ) -> Result<Self, KeyStoreError> {
        let secret = settings.key_secret.clone().ok_or(KeyStoreError::NoSecret)?;
        let envelope = Envelope::new(&secret).map_err(KeyError::from)?;
        let read = |secret| TrustedKeys::read(secret, settings.jwt_secret_is_base64);
        let trusted = settings.jwt_secret.as_ref().map(read).transpose()?;
        let vault = Vault { envelope, trusted, algorithm: algorithm(settings), clock, rng };
        let vault = Arc::new(vault);
        let maker = Arc::clone(&vault);
        let rows = control
            .run_tx(&Operation::system("auth.open_keys"), async move |tx| maker.complete(tx).await)
            .await?;
        let ring = Arc::new(ArcSwap::from_pointee(vault.ring(&rows)?));
        let token_lifetime = settings.access_token_lifetime;
        Ok(Self(Arc::new(Inner { ring, vault, control, secret, token_lifetime })))
    }

    /// The ring of the moment.
    #[must_use]
    pub fn ring(&self) -> Arc<KeyRing> {
        self.0.ring.load_full()
    }

    /// The place where the ring stands, for those who verify on every request.
    #[must_use]
    pub fn shared(&self) -> Arc<ArcSwap<KeyRing>> {
        Arc::clone(&self.0.ring)
    }

    pub(crate) fn chain_key(&self) -> ChainKey {
        ChainKey::new(&self.0.secret)
    }

    /// Every key in use, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeyStoreError> {
        let rows = self
            .0
            .control
            .statement(&Operation::system("auth.list_keys"), async |client| key::list(client).await)
            .await?;
        let info = |row: KeyRow| {
            let KeyRow { jwk, purpose, status, created_at, rotated_at, .. } = row;
            KeyInfo { jwk, purpose, status, created_at, rotated_at }
        };
        Ok(rows.into_iter().map(info).collect())
    }

    /// Reads the ring again.
    ///
    /// # Errors
    /// The database's; the ring in use stays.
    pub async fn reload(&self) -> Result<(), KeyStoreError> {
        let rows = self
            .0
            .control
            .statement(&Operation::system("auth.reload_keys"), async |client| key::list(client).await)
            .await?;
        self.0.ring.store(Arc::new(self.0.vault.ring(&rows)?));
        Ok(())
    }

    /// Reloads whenever another process has changed the ring, until the hub is gone.
    pub async fn follow(self, mut heard: Receiver<Heard>) {
        loop {
            match heard.recv().await {
                Ok(Heard::Notice { channel, .. }) if channel != key::CHANNEL => continue,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
            if let Err(error) = self.reload().await {
                tracing::warn!(%error, "the key ring could not be reloaded; the one in use stays");
            }
        }
    }

    /// The standby key of `purpose` begins to sign, the signing key only verifies from now on, a new standby key is
    /// made. Retired access keys go once every token they signed is dead; retired API keys stay until
    /// [`KeyStore::remove`]. Returns the kid that signs now.
    ///
    /// # Errors
    /// The database's, or the crypto library's.
    pub async fn rotate(&self, purpose: Purpose) -> Result<String, KeyStoreError> {
        let (vault, keep) = (Arc::clone(&self.0.vault), self.0.token_lifetime + GRACE);
        let work = async move |tx: &rowhouse_db::Transaction<'_>| vault.rotate(tx, purpose, keep).await;
        self.0.control.run_tx(&Operation::system("auth.rotate_keys"), work).await?;
        self.reload().await?;
        Ok(self.ring().signing_kid(purpose).to_owned())
    }

    /// Removes a key that only verifies: every token it signed is refused from now on. False if there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn remove(&self, kid: &str) -> Result<bool, KeyStoreError> {
        let kid = kid.to_owned();
        let remove = async move |tx: &rowhouse_db::Transaction<'_>| {
            key::lock(tx).await?;
            let removed = key::remove(tx, &kid).await?;
            key::announce(tx).await?;
            Ok::<_, KeyStoreError>(removed)
        };
        let removed = self.0.control.run_tx(&Operation::system("auth.remove_key"), remove).await?;
        self.reload().await?;
        Ok(removed)
    }

    /// Issues an API key for `role` (`anon` or `service_role`): a JWT signed by the long-lived key, good for `lifetime`
    /// or until that key is removed.
    ///
    /// # Errors
    /// The crypto library's.
    pub fn issue_api_key(
        &self,
        role: &str,
        public_url: &str,
        lifetime: time::Duration,
    ) -> Result<String, KeyStoreError> {
        let now = self.0.vault.clock.now();
        let (iat, exp) = (now.unix_timestamp(), (now + lifetime).unix_timestamp());
        let claims = json!({ "iss": crate::state::issuer(public_url), "role": role, "iat": iat, "exp": exp });
        Ok(self.ring().sign(&claims, Purpose::Api)?)
    }
}

fn algorithm(settings: &AuthSettings) -> Algorithm {
    match settings.signing_algorithm {
        SigningAlgorithm::Es256 => Algorithm::Es256,
        SigningAlgorithm::Rs256 => Algorithm::Rs256,
        SigningAlgorithm::EdDsa => Algorithm::EdDsa,
    }
}

impl Vault {
    /// Under the lock: makes the signing and standby keys that are missing, and returns all rows.
    async fn complete(&self, tx: &Client) -> Result<Vec<KeyRow>, KeyStoreError> {
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
            key::announce(tx).await?;
            rows.push(row);
        }
        Ok(rows)
    }

    /// See [`KeyStore::rotate`]; retired access keys are kept for `keep`.
    async fn rotate(&self, tx: &Client, purpose: Purpose, keep: Duration) -> Result<(), KeyStoreError> {
        let rows = self.complete(tx).await?;
        let next = rows.iter().find(|row| row.purpose == purpose && row.status == Status::Standby);
        let next = next.ok_or(KeyStoreError::NoStandby)?;
        let now = self.clock.now();
        key::retire_signer(tx, purpose, now).await?;
        key::promote(tx, &next.jwk.kid).await?;
        key::remove_expired(tx, now - keep).await?;
        self.complete(tx).await?;
        key::announce(tx).await
    }

    fn ring(&self, rows: &[KeyRow]) -> Result<KeyRing, KeyStoreError> {
        let keys = rows.iter().map(|row| self.key(row)).collect::<Result<_, _>>()?;
        Ok(KeyRing::new(keys, self.trusted.clone())?)
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

/// Every purpose needs one key that signs and one that stands by.
fn missing(rows: &[KeyRow]) -> Vec<(Purpose, Status)> {
    let needed =
        Purpose::ALL.into_iter().flat_map(|purpose| [(purpose, Status::Signing), (purpose, Status::Standby)]);
    needed.filter(|needed| !rows.iter().any(|row| (row.purpose, row.status) == *needed)).collect()
}

#[cfg(test)]
mod tests;
