//! Texts that travel through strangers' hands and come back: everybody may read them, nobody else can make one.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use rowhouse_kernel::Secret;

use crate::base64url;

/// Bytes of a mark: 128 bits, since what is guessed is answered over the network.
const MARK: usize = 16;
/// Longest text, as it travels.
const LONGEST: usize = 2048;

/// Stamps texts for one purpose (HMAC-SHA256); what is stamped for another is worth nothing here.
pub struct Stamp(hmac::Key);

impl std::fmt::Debug for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stamp")
    }
}

impl Stamp {
    /// Derives the key from the configured `secret`, as HKDF does with one round.
    #[must_use]
    pub fn new(secret: &Secret, purpose: &str) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let derived = hmac::sign(&secret, format!("rowhouse/stamp/{purpose}").as_bytes());
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The text with its mark; letters that need no escaping in a URL.
    #[must_use]
    pub fn stamp(&self, text: &str) -> String {
        format!("{}.{}", base64url::encode(text), base64url::encode(&self.mark(text)[..MARK]))
    }

    /// The text, if it was stamped here.
    #[must_use]
    pub fn read(&self, stamped: &str) -> Option<String> {
        let (text, mark) = stamped.split_once('.').filter(|_| stamped.len() <= LONGEST)?;
        let text = String::from_utf8(base64url::decode(text)?).ok()?;
        verify_slices_are_equal(&self.mark(&text)[..MARK], &base64url::decode(mark)?).ok().map(|()| text)
    }

    fn mark(&self, text: &str) -> [u8; 32] {
        let mut mark = [0; 32];
        mark.copy_from_slice(hmac::sign(&self.0, text.as_bytes()).as_ref());
        mark
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::Secret;

    use super::Stamp;

    #[test]
    fn only_what_was_stamped_for_the_same_purpose_with_the_same_secret_is_read() {
        let stamp = |secret: &str, purpose: &str| Stamp::new(&Secret::new(secret), purpose);
        let stamped = stamp("a", "mail").stamp("news\nada@b.example");
        assert_eq!(stamp("a", "mail").read(&stamped).as_deref(), Some("news\nada@b.example"));
        assert_eq!(stamp("b", "mail").read(&stamped), None);
        assert_eq!(stamp("a", "post").read(&stamped), None);
        let (text, mark) = stamped.split_once('.').unwrap();
        let forged = stamp("x", "mail").stamp("news\neve@b.example");
        let swapped = format!("{}.{mark}", forged.split_once('.').unwrap().0);
        let short = format!("{text}.{}", &mark[..4]);
        for wrong in [
            "",
            ".",
            "a.b",
            text,
            &swapped,
            &short,
            &format!("{text}."),
            &format!("{stamped}="),
            &"a".repeat(5000),
        ] {
            assert_eq!(stamp("a", "mail").read(wrong), None, "{wrong}");
        }
    }
}
