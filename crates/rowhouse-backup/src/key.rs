//! Keys: who may open a store, the random keys that are wrapped for them, and the keys derived from those.
//!
//! Leaves the file format of wrapped keys to `age`, and which file holds the server's key to `store`.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use data_encoding::BASE64;
use rowhouse_kernel::Rng;
use zeroize::Zeroizing;

use crate::age::{self, AgeError, Identity, Recipient};
use crate::error::StoreError;

const LIBRARY: StoreError = StoreError::Internal("the crypto library refused to work");

/// Who opens what is in a store, and for whom new things are sealed.
#[derive(Debug, Clone)]
pub struct Keys {
    identity: Identity,
    recipients: Vec<Recipient>,
}

impl Keys {
    /// The server's key with the escrow recipients; the key itself is a recipient as well.
    #[must_use]
    pub fn new(identity: Identity, escrow: &[Recipient]) -> Self {
        let mut recipients = vec![identity.recipient()];
        recipients.extend_from_slice(escrow);
        recipients.dedup();
        Self { identity, recipients }
    }

    /// A random key, and its wrapped form.
    pub(crate) fn wrap_new(&self, rng: &dyn Rng) -> Result<(DataKey, Wrapped), StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill(&mut *key);
        let key = DataKey(key);
        let wrapped = self.wrap(&key, rng)?;
        Ok((key, wrapped))
    }

    /// Wraps a key for all recipients.
    pub(crate) fn wrap(&self, key: &DataKey, rng: &dyn Rng) -> Result<Wrapped, StoreError> {
        let file = age::seal(&*key.0, &self.recipients, rng).map_err(|_| LIBRARY)?;
        Ok(Wrapped { recipients: self.names(), age: BASE64.encode(&file) })
    }

    /// Whether a key is wrapped for those whom these keys name.
    pub(crate) fn are_those_of(&self, wrapped: &Wrapped) -> bool {
        self.names() == wrapped.recipients
    }

    /// Opens a wrapped key; `what` is the path that has it.
    pub(crate) fn unwrap(&self, wrapped: &Wrapped, what: &str) -> Result<DataKey, StoreError> {
        let damaged = || StoreError::corrupt(what, "the wrapped key is not what was written");
        let file = BASE64.decode(wrapped.age.as_bytes()).map_err(|_| damaged())?;
        match age::open(&file, &self.identity) {
            Ok(plain) => Ok(DataKey(Zeroizing::new(plain.as_slice().try_into().map_err(|_| damaged())?))),
            Err(AgeError::NotForThis) => {
                Err(StoreError::WrongKey { what: what.to_owned(), recipients: wrapped.recipients.join(", ") })
            }
            Err(AgeError::Damaged) => Err(damaged()),
            Err(AgeError::Library) => Err(LIBRARY),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.recipients.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A wrapped key, as documents have it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Wrapped {
    /// Public keys, in order; for messages, and to see when they have changed.
    pub(crate) recipients: Vec<String>,
    /// An age file in base64.
    pub(crate) age: String,
}

/// A random key, of one backup or of the segments of one timeline.
#[derive(Clone)]
pub(crate) struct DataKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    /// The key of chunks.
    pub(crate) fn cipher(&self) -> Result<LessSafeKey, StoreError> {
        cipher(&*self.derive(&[], b"chunks")?)
    }

    /// A key for one sealing only, by a salt that never repeats.
    pub(crate) fn cipher_of(&self, salt: &[u8]) -> Result<LessSafeKey, StoreError> {
        cipher(&*self.derive(salt, b"segment")?)
    }

    /// The key of a document's MAC.
    pub(crate) fn mac(&self) -> Result<hmac::Key, StoreError> {
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &*self.derive(&[], b"document")?))
    }

    fn derive(&self, salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&*self.0);
        let info = [b"rowhouse/backup/1/", info];
        let expanded = extracted.expand(&info, hkdf::HKDF_SHA256).map_err(|_| LIBRARY)?;
        expanded.fill(&mut *key).map_err(|_| LIBRARY)?;
        Ok(key)
    }
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, StoreError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| LIBRARY)
}
