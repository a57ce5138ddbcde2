//! Keys: who may open a store, the random keys that are wrapped for them, and the keys derived from those.
//!
//! Leaves the file format of wrapped keys to `age`, and which file holds the server's key to `store`.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use data_encoding::{BASE64, HEXLOWER};
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
    is_author: bool,
}

impl Keys {
    /// A key with the escrow recipients; the key itself is a recipient as well. `is_author`: it is the server's, so what it opens
    /// must have been sealed with it. Anybody can seal for a public key, which stands in the store.
    #[must_use]
    pub fn new(identity: Identity, escrow: &[Recipient], is_author: bool) -> Self {
        let mut recipients = vec![identity.recipient()];
        recipients.extend_from_slice(escrow);
        recipients.dedup();
        Self { identity, recipients, is_author }
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
        let author = HEXLOWER.encode(hmac::sign(&self.author(), &*key.0).as_ref());
        Ok(Wrapped { recipients: self.names(), age: BASE64.encode(&file), author })
    }

    /// Whether it is the server's key, which alone decides who else opens what it writes.
    pub(crate) fn is_author(&self) -> bool {
        self.is_author
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
            Ok(plain) => {
                let key = DataKey(Zeroizing::new(plain.as_slice().try_into().map_err(|_| damaged())?));
                self.require_author(wrapped, &key, what).map(|()| key)
            }
            Err(AgeError::NotForThis) => {
                Err(StoreError::WrongKey { what: what.to_owned(), recipients: wrapped.recipients.join(", ") })
            }
            Err(AgeError::Damaged) => Err(damaged()),
            Err(AgeError::Library) => Err(LIBRARY),
        }
    }

    fn require_author(&self, wrapped: &Wrapped, key: &DataKey, what: &str) -> Result<(), StoreError> {
        let tag = HEXLOWER.decode(wrapped.author.as_bytes()).unwrap_or_default();
        match !self.is_author || hmac::verify(&self.author(), &*key.0, &tag).is_ok() {
            true => Ok(()),
            false => Err(StoreError::corrupt(what, "its key was not made by this server")),
        }
    }

    fn author(&self) -> hmac::Key {
        let outer = hmac::Key::new(hmac::HMAC_SHA256, self.identity.expose().as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&outer, b"rowhouse/backup/author/1").as_ref())
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
    /// MAC of the key by whoever made it, in hexadecimal digits.
    pub(crate) author: String,
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

#[cfg(test)]
mod tests {
    use rowhouse_kernel::SeededRng;

    use super::*;

    #[test]
    fn key_that_somebody_else_has_sealed_for_the_server_is_refused() {
        let rng = SeededRng::new(7);
        let (server, stranger) = (Identity::generate(&*rng).unwrap(), Identity::generate(&*rng).unwrap());
        let forged = Keys::new(stranger, &[server.recipient()], true).wrap_new(&*rng).unwrap().1;
        let own = Keys::new(server.clone(), &[], true);
        assert!(matches!(own.unwrap(&forged, "x"), Err(StoreError::Corrupt { .. })));
        let written = own.wrap_new(&*rng).unwrap().1;
        assert!(own.unwrap(&written, "x").is_ok());
        // Whoever has only the escrow key cannot tell.
        assert!(Keys::new(server, &[], false).unwrap(&forged, "x").is_ok());
    }
}
