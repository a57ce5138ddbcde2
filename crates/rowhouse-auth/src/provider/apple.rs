//! Apple's client secret: a token that the application's private key signs for each request.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_crypto::{Algorithm, KeyPair, pkcs8_of_pem};
use rowhouse_kernel::Secret;
use serde_json::json;
use time::{Duration, OffsetDateTime};

/// Apple accepts up to six months; it serves one request.
const LIFETIME: Duration = Duration::minutes(5);

/// The private key and what it is registered as.
#[derive(Debug, Clone)]
pub(crate) struct AppleKey {
    pem: Secret,
    team: String,
    id: String,
}

impl AppleKey {
    pub(crate) fn new(pem: Secret, team: &str, id: &str) -> Self {
        Self { pem, team: team.to_owned(), id: id.to_owned() }
    }

    /// The secret of a client; `None` if the key is malformed.
    pub(super) fn client_secret(&self, client_id: &str, now: OffsetDateTime) -> Option<Secret> {
        let pair = KeyPair::from_pkcs8(Algorithm::Es256, &pkcs8_of_pem(self.pem.expose())?).ok()?;
        let header = json!({ "alg": "ES256", "kid": self.id, "typ": "JWT" });
        let claims = json!({
            "iss": self.team,
            "sub": client_id,
            "aud": "https://appleid.apple.com",
            "iat": now.unix_timestamp(),
            "exp": (now + LIFETIME).unix_timestamp(),
        });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = pair.sign(signed.as_bytes()).ok()?;
        Some(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use rowhouse_crypto::{Envelope, TrustedKeys};
    use rowhouse_kernel::SeededRng;

    use super::*;

    #[test]
    fn malformed_key_signs_nothing() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        for pem in ["", "secret", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
            let key = AppleKey::new(Secret::new(pem), "TEAM", "KEY");
            assert!(key.client_secret("app", now).is_none());
        }
    }

    #[test]
    fn secret_names_team_key_and_client_and_lasts_five_minutes() {
        let (pem, jwk) = key();
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        for pem in [pem.clone(), pem.replace('\n', "\\n")] {
            let secret = AppleKey::new(Secret::new(pem), "TEAM", "KEY").client_secret("app", now).unwrap();
            let set = json!({ "keys": [jwk] }).to_string();
            let read = TrustedKeys::read_published(set.as_bytes()).unwrap();
            let token = read.verify_id_token(secret.expose(), now).unwrap();
            assert_eq!(
                serde_json::Value::Object(token.claims),
                json!({ "iss": "TEAM", "sub": "app", "aud": "https://appleid.apple.com",
                    "iat": 1_800_000_000, "exp": 1_800_000_300 })
            );
        }
    }

    /// A new key in PEM, and its public half under the id `KEY`.
    fn key() -> (String, serde_json::Value) {
        let pair = KeyPair::generate(Algorithm::Es256).unwrap();
        let envelope = Envelope::new(&Secret::new("for the test")).unwrap();
        let sealed = pair.seal(&envelope, &*SeededRng::new(1)).unwrap();
        let document = envelope.open(&sealed, &pair.jwk().kid).unwrap();
        let mut jwk = serde_json::to_value(pair.jwk()).unwrap();
        jwk["kid"] = "KEY".into();
        let body = STANDARD.encode(&*document);
        (format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"), jwk)
    }
}
