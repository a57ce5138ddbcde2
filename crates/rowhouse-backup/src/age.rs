//! The format age (age-encryption.org/v1) with X25519 recipients, for files as small as a key, on the project's one crypto library.
//!
//! Leaves which keys there are to `key`.

mod bech32;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rowhouse_kernel::Rng;
use zeroize::Zeroizing;

const INTRO: &str = "age-encryption.org/v1";
const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";
const FILE_KEY: usize = 16;
const PAYLOAD_NONCE: usize = 16;
/// age seals a payload in chunks of this size; what is written here has one.
const MAX_PAYLOAD: usize = 64 * 1024;
/// The nonce of a first chunk that is the last one as well.
const ONLY_CHUNK: [u8; NONCE_LEN] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Why a file does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgeError {
    /// None of the recipients is this identity.
    NotForThis,
    /// It is not age, or it was changed.
    Damaged,
    /// The crypto library failed.
    Library,
}

/// A public key: `age1…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient([u8; 32]);

impl Recipient {
    /// Reads `age1…`; none for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        bech32::decode(RECIPIENT, text.trim())?.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&bech32::encode(RECIPIENT, &self.0))
    }
}

/// A private key: `AGE-SECRET-KEY-1…`.
#[derive(Clone)]
pub struct Identity {
    secret: Zeroizing<[u8; 32]>,
    recipient: Recipient,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("recipient", &self.recipient.to_string()).finish_non_exhaustive()
    }
}

impl Identity {
    /// A new key; none if the crypto library fails.
    #[must_use]
    pub fn generate(rng: &dyn Rng) -> Option<Self> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill(&mut *secret);
        Self::of(secret)
    }

    /// The first key of a file that `age-keygen` has written; none if there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
        let bytes = Zeroizing::new(bech32::decode(IDENTITY, line)?);
        Self::of(Zeroizing::new(bytes.as_slice().try_into().ok()?))
    }

    /// The text that [`Identity::parse`] and `age -i` read.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(bech32::encode(IDENTITY, &*self.secret).to_ascii_uppercase())
    }

    /// Its public key.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        self.recipient
    }

    fn of(secret: Zeroizing<[u8; 32]>) -> Option<Self> {
        let recipient = Recipient(public(&secret).ok()?);
        Some(Self { secret, recipient })
    }
}

/// An age file for all `recipients`, opened by any one of their identities.
pub(crate) fn seal(plain: &[u8], recipients: &[Recipient], rng: &dyn Rng) -> Result<Vec<u8>, AgeError> {
    if plain.len() > MAX_PAYLOAD {
        return Err(AgeError::Library);
    }
    let mut file_key = Zeroizing::new([0; FILE_KEY]);
    rng.fill(&mut *file_key);
    let mut header = format!("{INTRO}\n");
    for recipient in recipients {
        header.push_str(&stanza(&file_key, *recipient, rng)?);
    }
    header.push_str("---");
    let mac = hmac::sign(&header_key(&file_key)?, header.as_bytes());
    let mut nonce = [0; PAYLOAD_NONCE];
    rng.fill(&mut nonce);
    let payload = encrypt(&*derive(&nonce, &*file_key, b"payload")?, ONLY_CHUNK, plain)?;
    let mut file = format!("{header} {}\n", STANDARD_NO_PAD.encode(mac)).into_bytes();
    file.extend_from_slice(&nonce);
    file.extend_from_slice(&payload);
    Ok(file)
}

/// What the file holds.
pub(crate) fn open(file: &[u8], identity: &Identity) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let header = Header::read(file).ok_or(AgeError::Damaged)?;
    let found = header.stanzas.iter().find_map(|stanza| unwrap(stanza, identity));
    let file_key = found.ok_or(AgeError::NotForThis)?;
    hmac::verify(&header_key(&file_key)?, header.text.as_bytes(), &header.mac)
        .map_err(|_| AgeError::Damaged)?;
    let nonce = header.rest.get(..PAYLOAD_NONCE).ok_or(AgeError::Damaged)?;
    let key = derive(nonce, &*file_key, b"payload")?;
    decrypt(&key, ONLY_CHUNK, &header.rest[PAYLOAD_NONCE..]).ok_or(AgeError::Damaged)
}

/// The recipients' share of one stanza: ephemeral public key and wrapped file key.
struct Stanza {
    share: [u8; 32],
    body: Vec<u8>,
}

struct Header<'a> {
    stanzas: Vec<Stanza>,
    /// What the MAC covers: up to and including `---`.
    text: &'a str,
    mac: Vec<u8>,
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    /// None unless it is a header; stanzas of other kinds are passed over, as age does.
    fn read(file: &'a [u8]) -> Option<Self> {
        let marker = file.windows(5).position(|window| window == b"\n--- ")?;
        let end = marker + 5 + file[marker + 5..].iter().position(|byte| *byte == b'\n')?;
        let text = std::str::from_utf8(&file[..marker + 4]).ok()?;
        let mac = STANDARD_NO_PAD.decode(&file[marker + 5..end]).ok()?;
        let mut lines = text[..=marker].lines();
        if lines.next() != Some(INTRO) {
            return None;
        }
        let mut stanzas = Vec::new();
        let mut lines = lines.peekable();
        while let Some(line) = lines.next() {
            let arguments: Vec<&str> = line.strip_prefix("-> ")?.split(' ').collect();
            let mut body = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("-> ")) {
                body.push_str(line);
            }
            if let ["X25519", share] = arguments[..] {
                let share = STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?;
                stanzas.push(Stanza { share, body: STANDARD_NO_PAD.decode(body).ok()? });
            }
        }
        Some(Self { stanzas, text, mac, rest: &file[end + 1..] })
    }
}

fn stanza(file_key: &[u8; FILE_KEY], recipient: Recipient, rng: &dyn Rng) -> Result<String, AgeError> {
    let mut ephemeral = Zeroizing::new([0; 32]);
    rng.fill(&mut *ephemeral);
    let share = public(&ephemeral)?;
    let key = wrap_key(&ephemeral, &recipient.0, &share, &recipient.0)?;
    let body = encrypt(&key, [0; NONCE_LEN], file_key)?;
    Ok(format!("-> X25519 {}\n{}\n", STANDARD_NO_PAD.encode(share), STANDARD_NO_PAD.encode(body)))
}

/// The file key, if the stanza is for this identity.
fn unwrap(stanza: &Stanza, identity: &Identity) -> Option<Zeroizing<[u8; FILE_KEY]>> {
    let key = wrap_key(&identity.secret, &stanza.share, &stanza.share, &identity.recipient.0).ok()?;
    let plain = decrypt(&key, [0; NONCE_LEN], &stanza.body)?;
    Some(Zeroizing::new(plain.as_slice().try_into().ok()?))
}

fn wrap_key(
    secret: &[u8; 32],
    peer: &[u8; 32],
    share: &[u8; 32],
    recipient: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, AgeError> {
    let salt = [*share, *recipient].concat();
    let private = PrivateKey::from_private_key(&X25519, secret).map_err(|_| AgeError::Library)?;
    let peer = UnparsedPublicKey::new(&X25519, peer);
    agree(&private, peer, AgeError::Library, |shared| derive(&salt, shared, b"age-encryption.org/v1/X25519"))
}

fn public(secret: &[u8; 32]) -> Result<[u8; 32], AgeError> {
    let private = PrivateKey::from_private_key(&X25519, secret).map_err(|_| AgeError::Library)?;
    let public = private.compute_public_key().map_err(|_| AgeError::Library)?;
    public.as_ref().try_into().map_err(|_| AgeError::Library)
}

fn header_key(file_key: &[u8; FILE_KEY]) -> Result<hmac::Key, AgeError> {
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &*derive(&[], file_key, b"header")?))
}

fn derive(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, AgeError> {
    let mut key = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let info = [info];
    let expanded = extracted.expand(&info, hkdf::HKDF_SHA256).map_err(|_| AgeError::Library)?;
    expanded.fill(&mut *key).map_err(|_| AgeError::Library)?;
    Ok(key)
}

fn encrypt(key: &[u8; 32], nonce: [u8; NONCE_LEN], plain: &[u8]) -> Result<Vec<u8>, AgeError> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| AgeError::Library)?;
    let mut body = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let sealed = LessSafeKey::new(key).seal_in_place_append_tag(nonce, Aad::empty(), &mut body);
    sealed.map(|()| body).map_err(|_| AgeError::Library)
}

fn decrypt(key: &[u8; 32], nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).ok()?;
    let mut body = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = LessSafeKey::new(key).open_in_place(nonce, Aad::empty(), &mut body).ok()?.len();
    body.truncate(length);
    Some(body)
}

#[cfg(test)]
mod tests;
