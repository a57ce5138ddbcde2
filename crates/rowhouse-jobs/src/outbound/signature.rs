//! Signatures of requests, as <https://www.standardwebhooks.com> specifies them, and their keys.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_kernel::Secret;

/// Bytes of a key, as the specification wants them.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The signature header: version 1 is HMAC-SHA256 over id, time and body.
pub(super) fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &key_of(secret)));
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
}

/// `whsec_` and base64, with or without GoTrue's `v1,` before it; or the text itself.
fn key_of(secret: &Secret) -> Vec<u8> {
    let coded = coded(secret).and_then(|coded| STANDARD.decode(coded).ok());
    coded.unwrap_or_else(|| secret.expose().as_bytes().to_vec())
}

fn coded(secret: &Secret) -> Option<&str> {
    let text = secret.expose();
    text.strip_prefix("v1,").unwrap_or(text).strip_prefix("whsec_")
}

/// Why a secret is no key for signatures, for the setting that holds it; `None` if it is one.
#[must_use]
pub fn key_mistake(secret: &Secret) -> Option<&'static str> {
    if coded(secret).is_some_and(|coded| STANDARD.decode(coded).is_err()) {
        return Some("what follows whsec_ is no base64");
    }
    let is_key = KEY_BYTES.contains(&key_of(secret).len());
    (!is_key).then_some(
        "expected a key of 24 to 64 bytes, as Standard Webhooks has it: whsec_ and base64, or text",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_that_of_the_published_example() {
        // The example of the Standard Webhooks specification's reference libraries.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature =
            sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secret_without_prefix_is_used_as_text() {
        let plain = sign(&Secret::new("abc"), "1", 2, b"{}");
        assert_eq!(plain, sign(&Secret::new("whsec_YWJj"), "1", 2, b"{}"));
        assert_eq!(plain, sign(&Secret::new("v1,whsec_YWJj"), "1", 2, b"{}"), "as GoTrue writes it");
    }

    #[test]
    fn keys_have_24_to_64_bytes_whatever_their_form() {
        for length in [23, 24, 64, 65] {
            let bytes = "k".repeat(length);
            let coded = STANDARD.encode(&bytes);
            for text in [bytes, format!("whsec_{coded}"), format!("v1,whsec_{coded}")] {
                assert_eq!(
                    key_mistake(&Secret::new(text)).is_none(),
                    (24..=64).contains(&length),
                    "{length}"
                );
            }
        }
        // Longer than 24 characters, and text if the prefix did not say otherwise.
        let broken = key_mistake(&Secret::new("whsec_this is no base64, but long enough"));
        assert_eq!(broken, Some("what follows whsec_ is no base64"));
    }
}
