//! API keys of organizations: `rhk_` and 256 random bits, shown once and stored as a digest. Leaves what they may do to
//! the schema.

use aws_lc_rs::digest::{SHA256, digest};
use rowhouse_kernel::{Rng, Secret};

use crate::base64url;

/// What every key begins with, so that scanners for leaked secrets find it; JWTs begin with `eyJ`.
const PREFIX: &str = "rhk_";
/// Random bytes.
const BYTES: usize = 32;
/// Characters: the prefix, and 43 of base64url.
const LENGTH: usize = PREFIX.len() + (BYTES * 8).div_ceil(6);
/// Characters at the end that are shown in lists.
const HINT: usize = 4;

/// An API key.
#[derive(Debug, Clone)]
pub struct ApiKey(Secret);

impl ApiKey {
    /// Draws a key from `rng`.
    #[must_use]
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut bytes = [0_u8; BYTES];
        rng.fill(&mut bytes);
        Self(Secret::new(format!("{PREFIX}{}", base64url::encode(bytes))))
    }

    /// Whether a bearer token is meant as an API key, well-formed or not.
    #[must_use]
    pub fn is_meant(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// `None` unless the text has the form of a key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX).filter(|_| text.len() == LENGTH)?;
        let bytes = base64url::decode(random)?;
        (bytes.len() == BYTES).then(|| Self(Secret::new(text)))
    }

    /// The text for the client.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// SHA-256: what the database keeps.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = [0_u8; 32];
        bytes.copy_from_slice(digest(&SHA256, self.expose().as_bytes()).as_ref());
        bytes
    }

    /// The last characters, by which people recognise it.
    #[must_use]
    pub fn hint(&self) -> &str {
        let text = self.expose();
        &text[text.len() - HINT..]
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::SeededRng;

    use super::ApiKey;

    #[test]
    fn keys_have_256_bits_and_differ() {
        let rng = SeededRng::new(7);
        let (one, two) = (ApiKey::generate(&*rng), ApiKey::generate(&*rng));
        assert_eq!((one.expose().len(), one.hint().len()), (47, 4));
        assert!(one.expose().ends_with(one.hint()) && ApiKey::is_meant(one.expose()));
        assert_ne!(one.expose(), two.expose());
        assert_ne!(one.digest(), two.digest());
        assert!(!format!("{one:?}").contains(&one.expose()[4..]));
    }

    #[test]
    fn only_the_form_of_a_key_is_one() {
        let key = ApiKey::generate(&*SeededRng::new(7));
        let text = key.expose();
        assert_eq!(ApiKey::parse(text).map(|same| same.digest()), Some(key.digest()));
        for other in [
            "",
            "rhk_",
            "eyJhbGciOiJIUzI1NiJ9",
            &text[..46],
            &format!("{text}A"),
            &text.replace("rhk_", "rhx_"),
        ] {
            assert!(ApiKey::parse(other).is_none(), "{other}");
        }
        // 43 characters of which the last has bits beyond the 256
        assert!(ApiKey::parse(&format!("rhk_{}B", "A".repeat(42))).is_none());
    }
}
