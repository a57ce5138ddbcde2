//! Private keys in PEM (RFC 7468). What is inside is left to the key pair.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The PKCS#8 document of a `PRIVATE KEY` block, the first in the text; line breaks may be written as `\n`, as environment
/// variables have them. `None` if there is none.
#[must_use]
pub fn pkcs8_of_pem(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body: Zeroizing<String> = Zeroizing::new(body.replace("\\n", "").split_whitespace().collect());
    STANDARD.decode(&*body).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::pkcs8_of_pem;

    #[test]
    fn block_is_found_with_line_breaks_of_both_kinds() {
        for pem in [
            "-----BEGIN PRIVATE KEY-----\nAAEC\nAwQF\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\\nAAEC\\nAwQF\\n-----END PRIVATE KEY-----\\n",
            "Apple's\n-----BEGIN PRIVATE KEY-----AAECAwQF-----END PRIVATE KEY-----",
        ] {
            assert_eq!(pkcs8_of_pem(pem).unwrap().as_slice(), [0, 1, 2, 3, 4, 5], "{pem}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for wrong in [
            "",
            "secret",
            "-----BEGIN PRIVATE KEY-----\nAAEC",
            "-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----",
            "-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----",
        ] {
            assert!(pkcs8_of_pem(wrong).is_none(), "{wrong}");
        }
    }
}
