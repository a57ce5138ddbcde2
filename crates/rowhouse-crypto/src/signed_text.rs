//! Text with a message authentication code, for links that leave the system and come back: readable by anybody,
//! forgeable by nobody.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use rowhouse_kernel::Secret;

use crate::base64url;

/// Bytes of a tag. 128 bits suffice where each guess is a request over the network.
const TAG_BYTES: usize = 16;
/// Longest signed text, in bytes.
const LONGEST: usize = 2048;

/// Signs text for one purpose (HMAC-SHA256). A tag made for another purpose is not accepted.
pub struct SignedText(hmac::Key);

impl std::fmt::Debug for SignedText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedText")
    }
}

impl SignedText {
    /// Derives the key from the configured `secret`, as HKDF does with one round.
    #[must_use]
    pub fn new(secret: &Secret, purpose: &str) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        let derived = hmac::sign(&secret, format!("rowhouse/signed-text/{purpose}").as_bytes());
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The text with its tag, in characters that need no escaping in a URL.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        format!("{}.{}", base64url::encode(text), base64url::encode(&self.tag(text)[..TAG_BYTES]))
    }

    /// The text, if it was signed here.
    #[must_use]
    pub fn read(&self, signed: &str) -> Option<String> {
        let (text, tag) = signed.split_once('.').filter(|_| signed.len() <= LONGEST)?;
        let text = String::from_utf8(base64url::decode(text)?).ok()?;
        verify_slices_are_equal(&self.tag(&text)[..TAG_BYTES], &base64url::decode(tag)?).ok().map(|()| text)
    }

    fn tag(&self, text: &str) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.0, text.as_bytes()).as_ref());
        tag
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::Secret;

    use super::SignedText;

    #[test]
    fn text_signed_with_another_secret_or_purpose_is_refused() {
        let signed_by = |secret: &str, purpose: &str| SignedText::new(&Secret::new(secret), purpose);
        let signed = signed_by("a", "mail").sign("news\nada@b.example");
        assert_eq!(signed_by("a", "mail").read(&signed).as_deref(), Some("news\nada@b.example"));
        assert_eq!(signed_by("b", "mail").read(&signed), None);
        assert_eq!(signed_by("a", "post").read(&signed), None);
        let (text, tag) = signed.split_once('.').unwrap();
        let forged = signed_by("x", "mail").sign("news\neve@b.example");
        let swapped = format!("{}.{tag}", forged.split_once('.').unwrap().0);
        let short = format!("{text}.{}", &tag[..4]);
        for wrong in [
            "",
            ".",
            "a.b",
            text,
            &swapped,
            &short,
            &format!("{text}."),
            &format!("{signed}="),
            &"a".repeat(5000),
        ] {
            assert_eq!(signed_by("a", "mail").read(wrong), None, "{wrong}");
        }
    }
}
