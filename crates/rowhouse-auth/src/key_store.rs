//! The key ring in the database: created at first start, reloaded when another process changes it, rotated without
//! invalidating tokens.

mod error;
mod refresh_key;
mod reseal;
mod root;
mod vault;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rowhouse_crypto::{Algorithm, CodeKey, Envelope, Jwk, KeyError, KeyRing, Purpose, Status};
use rowhouse_db::{Control, Heard};
use rowhouse_kernel::{Origin, Secret, SharedRng};
use serde_json::json;
use time::OffsetDateTime;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use uuid::Uuid;

use crate::settings::{AuthSettings, SigningAlgorithm};
use crate::store::api_key;
use crate::store::key::{self, KeyRow};
pub use error::KeyStoreError;
pub(crate) use refresh_key::RefreshKeys;
pub use reseal::{Resealed, sealed_columns};
use vault::{Vault, note};

/// Default lifetime of API keys: ten years.
pub const API_KEY_LIFETIME: time::Duration = time::Duration::days(3653);
/// How often the ring's version is polled: a revoked key is refused within a second even if its notification is lost,
/// and a failed reload is retried.
const POLL: Duration = Duration::from_millis(500);
/// Timeout of one poll.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// How long a retired access key is kept after its last token has expired, for clock differences.
const GRACE: Duration = Duration::from_secs(300);

/// A signing key as `keys list` shows it.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// Its public half, with kid and algorithm.
    pub jwk: Jwk,
    /// What it signs.
    pub purpose: Purpose,
    /// Its stage.
    pub status: Status,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it stopped signing.
    pub rotated_at: Option<OffsetDateTime>,
}

/// An issued API key as `keys list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyInfo {
    /// The claim `jti`.
    pub id: Uuid,
    /// The key that signed it.
    pub kid: String,
    /// `anon` or `service_role`.
    pub role: String,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// When it expires.
    pub expires_at: OffsetDateTime,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
}

/// The result of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The kid that signs now.
    pub signing: String,
    /// Kids whose tokens are refused from now on.
    pub revoked: Vec<String>,
}

/// What was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// One API key.
    ApiKey,
    /// A retired or standby key, with all tokens that it signed.
    SigningKey(Purpose),
    /// The current signing key, with all tokens that it signed; another one signs now.
    Signer(Purpose),
}

/// The ring in memory and its storage. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KeyStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ring: Arc<ArcSwap<KeyRing>>,
    vault: Arc<Vault>,
    refresh_keys: RefreshKeys,
    control: Control,
    origin: Origin,
    /// From which keys of codes and links derive.
    root: Secret,
    token_lifetime: Duration,
    /// The stored version from which the ring in use was loaded.
    version: AtomicI64,
}

/// The stored ring. The version is read first, so that a change in between is detected.
struct Stored {
    version: i64,
    rows: Vec<KeyRow>,
    revoked: Vec<Uuid>,
}

impl Stored {
    async fn read(client: &tokio_postgres::Client) -> Result<Self, KeyStoreError> {
        let version = key::version(client).await?;
        let (rows, revoked) = (key::list(client).await?, api_key::list_revoked(client).await?);
        Ok(Self { version, rows, revoked })
    }
}

impl KeyStore {
    /// Loads the ring and creates missing keys; any number of processes may start at once.
    ///
    /// # Errors
    /// Without `auth.key_secret`, with an unusable `auth.jwt_secret`, with another `key_secret` than the stored keys were sealed with, or without database.
    pub async fn open(
        control: Control,
        settings: &AuthSettings,
        origin: Origin,
        rng: SharedRng,
    ) -> Result<Self, KeyStoreError> {
        let secret = settings.key_secret.clone().ok_or(KeyStoreError::NoSecret)?;
        let previous = settings.key_secret_previous.clone();
        let mut envelope = Envelope::new(&secret).map_err(KeyError::from)?;
        if let Some(previous) = &previous {
            envelope = envelope.replacing(previous).map_err(KeyError::from)?;
        }
        let envelope = Arc::new(envelope);
        let until = settings.trusted_until().map_err(KeyStoreError::Until)?;
        let trusted = settings.trusted_keys().transpose()?.map(|keys| keys.until(until));
        let clock = Arc::clone(&origin.clock);
        let vault = Vault { envelope, trusted, algorithm: algorithm(settings), clock, rng };
        let vault = Arc::new(vault);
        let maker = Arc::clone(&vault);
        let make = async move |tx: &rowhouse_db::Transaction<'_>| {
            maker.complete(tx).await?;
            let root = root::find(&maker, tx, (&secret, previous.as_ref())).await?;
            Ok::<_, KeyStoreError>((refresh_key::ensure(&maker, tx).await?, Stored::read(tx).await?, root))
        };
        let (refresh_keys, stored, root) = control.run_tx(&origin.operation("auth.open_keys"), make).await?;
        let ring = Arc::new(ArcSwap::from_pointee(vault.ring(&stored.rows, &stored.revoked)?));
        let token_lifetime = settings.access_token_lifetime;
        let version = AtomicI64::new(stored.version);
        Ok(Self(Arc::new(Inner {
            ring,
            vault,
            refresh_keys,
            control,
            origin,
            root,
            token_lifetime,
            version,
        })))
    }

    /// The current ring.
    #[must_use]
    pub fn ring(&self) -> Arc<KeyRing> {
        self.0.ring.load_full()
    }

    /// The shared pointer to the current ring, for verification on every request.
    #[must_use]
    pub fn shared(&self) -> Arc<ArcSwap<KeyRing>> {
        Arc::clone(&self.0.ring)
    }

    /// The time by the clock that keys are issued by.
    pub(crate) fn now(&self) -> OffsetDateTime {
        self.0.vault.clock.now()
    }

    pub(crate) fn code_key(&self) -> CodeKey {
        CodeKey::new(&self.0.root)
    }

    /// The secret from which further keys derive; stays the same when `auth.key_secret` is replaced.
    pub(crate) fn root(&self) -> Secret {
        self.0.root.clone()
    }

    pub(crate) fn envelope(&self) -> Arc<Envelope> {
        Arc::clone(&self.0.vault.envelope)
    }

    pub(crate) fn refresh_keys(&self) -> RefreshKeys {
        self.0.refresh_keys.clone()
    }

    /// Every key in use, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeyStoreError> {
        let rows = self
            .0
            .control
            .statement(&self.0.origin.operation("auth.list_keys"), async |client| key::list(client).await)
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
        let read = async |client: &tokio_postgres::Client| Stored::read(client).await;
        let stored = self.0.control.statement(&self.0.origin.operation("auth.reload_keys"), read).await?;
        self.0.ring.store(Arc::new(self.0.vault.ring(&stored.rows, &stored.revoked)?));
        self.0.version.store(stored.version, Ordering::Relaxed);
        Ok(())
    }

    /// Reloads if the stored ring has changed.
    async fn refresh(&self) -> Result<(), KeyStoreError> {
        let ask = async |client: &tokio_postgres::Client| key::version(client).await;
        let version = self.0.control.statement(&self.0.origin.operation("auth.key_version"), ask).await?;
        if version == self.0.version.load(Ordering::Relaxed) { Ok(()) } else { self.reload().await }
    }

    /// Follows the stored ring until the hub is dropped: checks it when a change is announced, and every half second,
    /// since a dead connection may go unnoticed for long. Calls `beat` in every iteration.
    pub async fn follow(self, mut heard: Receiver<Heard>, beat: impl Fn()) {
        let (mut is_current, mut due) = (true, Instant::now());
        loop {
            beat();
            match tokio::time::timeout_at(due, heard.recv()).await {
                Ok(Ok(Heard::Notice { channel, .. })) if channel != key::CHANNEL => continue,
                Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => {}
                Ok(Err(RecvError::Closed)) => return,
            }
            let looked = tokio::time::timeout(LOOK_LIMIT, self.refresh()).await;
            let failure = match looked {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("no answer within {LOOK_LIMIT:?}")),
            };
            if let Some(error) = failure.as_ref().filter(|_| is_current) {
                tracing::warn!(error, "the key ring could not be checked; the one in use stays until it can");
            }
            is_current = failure.is_none();
            due = Instant::now() + POLL;
        }
    }

    /// Rotates the keys of `purpose`: the standby key begins to sign, the signing key only verifies, a new standby
    /// key is created. Retired access keys are removed once all their tokens have expired; retired API keys stay
    /// until they are revoked. With `revoke` all retired keys are removed at once.
    ///
    /// # Errors
    /// The database's, or the crypto library's.
    pub async fn rotate(&self, purpose: Purpose, revoke: bool) -> Result<Rotated, KeyStoreError> {
        let (vault, keep) = (Arc::clone(&self.0.vault), self.0.token_lifetime + GRACE);
        let work = async move |tx: &rowhouse_db::Transaction<'_>| {
            vault.rotate(tx, purpose, keep).await?;
            let revoked = if revoke { key::remove_verifying(tx, purpose).await? } else { Vec::new() };
            note(tx, "key_rotated", ("signing_key", purpose.as_str()), json!({ "revoked": revoked })).await?;
            Ok::<_, KeyStoreError>(revoked)
        };
        let revoked = self.0.control.run_tx(&self.0.origin.operation("auth.rotate_keys"), work).await?;
        self.reload().await?;
        Ok(Rotated { signing: self.ring().signing_kid(purpose).to_owned(), revoked })
    }

    /// Revokes the API key of this id, or the signing key of this kid and with it every token that it signed: every
    /// process refuses them once it is notified. A current signing key is replaced first. `None` if there is no such
    /// key.
    ///
    /// # Errors
    /// The database's, or the crypto library's.
    pub async fn revoke(&self, id: &str) -> Result<Option<Revoked>, KeyStoreError> {
        let (vault, keep) = (Arc::clone(&self.0.vault), self.0.token_lifetime + GRACE);
        let id = id.to_owned();
        let work = async move |tx: &rowhouse_db::Transaction<'_>| vault.revoke(tx, &id, keep).await;
        let revoked = self.0.control.run_tx(&self.0.origin.operation("auth.revoke_key"), work).await?;
        self.reload().await?;
        Ok(revoked)
    }

    /// The issued API keys that have not expired, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_api_keys(&self) -> Result<Vec<ApiKeyInfo>, KeyStoreError> {
        let now = self.0.vault.clock.now();
        let list = async move |client: &tokio_postgres::Client| api_key::list(client, now).await;
        Ok(self.0.control.statement(&self.0.origin.operation("auth.list_api_keys"), list).await?)
    }

    /// Issues an API key for `role` (`anon` or `service_role`): a JWT signed by the long-lived key, valid for
    /// `lifetime` or until it or that key is revoked.
    ///
    /// # Errors
    /// The database's, or the crypto library's.
    pub async fn issue_api_key(
        &self,
        role: &str,
        public_url: &str,
        lifetime: time::Duration,
    ) -> Result<String, KeyStoreError> {
        let vault = &self.0.vault;
        let (ring, now) = (self.ring(), vault.clock.now());
        let info = ApiKeyInfo {
            id: rowhouse_kernel::new_id(&*vault.clock, &*vault.rng),
            kid: ring.signing_kid(Purpose::Api).to_owned(),
            role: role.to_owned(),
            issued_at: now,
            expires_at: now + lifetime,
            revoked_at: None,
        };
        let claims = json!({
            "iss": crate::state::issuer(public_url),
            "role": role,
            "iat": now.unix_timestamp(),
            "exp": info.expires_at.unix_timestamp(),
            "jti": info.id,
        });
        let key = ring.sign(&claims, Purpose::Api)?;
        let issue = async move |tx: &rowhouse_db::Transaction<'_>| {
            api_key::insert(tx, &info).await?;
            let details = json!({ "role": info.role, "kid": info.kid });
            note(tx, "api_key_issued", ("api_key", &info.id.to_string()), details).await
        };
        self.0.control.run_tx(&self.0.origin.operation("auth.issue_api_key"), issue).await?;
        Ok(key)
    }
}

fn algorithm(settings: &AuthSettings) -> Algorithm {
    match settings.signing_algorithm {
        SigningAlgorithm::Es256 => Algorithm::Es256,
        SigningAlgorithm::Rs256 => Algorithm::Rs256,
        SigningAlgorithm::EdDsa => Algorithm::EdDsa,
    }
}

#[cfg(test)]
mod tests;
