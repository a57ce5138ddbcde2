//! `[auth.external.NAME]`: providers of external sign-in. Leaves what a name stands for to `provider::preset`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_crypto::{Algorithm, KeyPair, pkcs8_of_pem};
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::{Entry, Fields, is_plain_name};
use url::Url;

/// Names that stand for this installation's own ways to sign in.
const OWN: [&str; 4] = ["email", "phone", "anonymous_users", "anonymous"];
/// The providers whose issuer is known; any other name needs one.
pub(crate) const PRESETS: [&str; 5] = ["apple", "azure", "github", "gitlab", "google"];

/// A provider, as the operator has configured it.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Whether it may be used.
    pub enabled: bool,
    /// The client ids registered with the provider. The first one is used in redirects; ID tokens may be for any.
    pub client_id: Vec<String>,
    /// The client secret; for Apple the private key in PEM. None for a public client.
    pub secret: Option<Secret>,
    /// The issuer (OpenID Connect), or the base URL of a self-hosted GitHub.
    pub issuer: Option<String>,
    /// Where the provider sends the browser back to, if not to `/auth/v1/callback` below the server's public URL.
    pub redirect_uri: Option<String>,
    /// Scopes beside those that a sign-in needs.
    pub scopes: Vec<String>,
    /// Accepts ID tokens without a nonce.
    pub skip_nonce_check: bool,
    /// Admits people of whom the provider tells no verified address.
    pub email_optional: bool,
    /// Apple: the team that the private key belongs to.
    pub team_id: Option<String>,
    /// Apple: the id of the private key.
    pub key_id: Option<String>,
}

impl Entry for ProviderSettings {
    const SECRET: bool = true;

    fn read(fields: &mut Fields<'_>) -> Self {
        let name = fields.name();
        if !is_plain_name(name) || OWN.contains(&name) {
            fields.refuse("", "a provider's name has up to 63 of a-z, 0-9, _, . and -, the first a letter");
        }
        let provider = Self {
            enabled: fields.read("enabled", true),
            client_id: fields.read("client_id", Vec::new()),
            secret: fields.secret("secret", "secret_file"),
            issuer: fields.read("issuer", None),
            redirect_uri: fields.read("redirect_uri", None),
            scopes: fields.read("scopes", Vec::new()),
            skip_nonce_check: fields.read("skip_nonce_check", false),
            email_optional: fields.read("email_optional", false),
            team_id: fields.read("team_id", None),
            key_id: fields.read("key_id", None),
        };
        provider.check(fields);
        provider
    }
}

impl ProviderSettings {
    fn check(&self, fields: &mut Fields<'_>) {
        if self.client_id.iter().all(String::is_empty) {
            fields.refuse("client_id", "not set");
        }
        if self.issuer.is_none() && !PRESETS.contains(&fields.name()) {
            fields.refuse("issuer", "not set; it is known of apple, azure, github, gitlab and google only");
        }
        for (key, url) in [("issuer", &self.issuer), ("redirect_uri", &self.redirect_uri)] {
            if url.as_deref().is_some_and(|url| !is_web_url(url)) {
                fields.refuse(key, "expected a URL with https:// or http://");
            }
        }
        if let Some(secret) = &self.secret {
            self.check_key(secret.expose(), fields);
        }
    }

    fn check_key(&self, secret: &str, fields: &mut Fields<'_>) {
        let is_key = secret.contains("-----BEGIN");
        if is_key && (self.team_id.is_none() || self.key_id.is_none()) {
            fields.refuse("team_id", "a private key needs team_id and key_id");
        }
        let is_apple = fields.name() == "apple";
        let is_to_sign = is_key || is_apple && self.team_id.is_some() && self.key_id.is_some();
        if is_to_sign && !is_p256(secret) {
            fields.refuse(
                "secret",
                "no private key on P-256 in PEM (-----BEGIN PRIVATE KEY-----), as Apple's file has it",
            );
        } else if is_apple && self.issuer.is_none() && !is_to_sign && !is_token(secret) {
            fields.refuse(
                "secret",
                "expected the private key in PEM that Apple has issued, or a token that it has signed",
            );
        }
    }
}

/// Whether a text in PEM is a key that a client secret can be signed with.
fn is_p256(pem: &str) -> bool {
    pkcs8_of_pem(pem).is_some_and(|document| KeyPair::from_pkcs8(Algorithm::Es256, &document).is_ok())
}

/// Whether a text has the form of a token (RFC 7519): a client secret that was signed elsewhere.
fn is_token(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_coded = |part: &&str| !part.is_empty() && URL_SAFE_NO_PAD.decode(part).is_ok();
    parts.len() == 3 && parts.iter().all(is_coded)
}

fn is_web_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rowhouse_crypto::{Algorithm, Envelope, KeyPair};
    use rowhouse_kernel::settings::{Findings, Named, Setting};
    use rowhouse_kernel::{Secret, SeededRng};
    use serde_json::json;

    use super::ProviderSettings;

    fn mistakes(json: &str) -> Vec<String> {
        let named: Named<ProviderSettings> = Named::from_text(json).unwrap();
        let mut found = Vec::new();
        named.report("external", &mut Findings::new("auth", &mut found));
        found
    }

    #[test]
    fn whole_providers_have_no_mistakes() {
        let whole = r#"{"google": {"client_id": ["a"]}, "my-idp": {"client_id": ["a"], "issuer": "https://id.example"}}"#;
        assert_eq!(mistakes(whole), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_names_its_key() {
        let unknown = "not set; it is known of apple, azure, github, gitlab and google only";
        for (json, mistake) in [
            (r#"{"google": {}}"#, "auth.external.google.client_id: not set".to_owned()),
            (r#"{"acme": {"client_id": ["a"]}}"#, format!("auth.external.acme.issuer: {unknown}")),
            (
                r#"{"acme": {"client_id": ["a"], "issuer": "acme"}}"#,
                "auth.external.acme.issuer: expected a URL with https:// or http://".to_owned(),
            ),
            (
                r#"{"google": {"client_id": ["a"], "colour": "red"}}"#,
                "auth.external.google.colour: no such setting".to_owned(),
            ),
        ] {
            assert_eq!(mistakes(json), [mistake], "{json}");
        }
        assert_eq!(mistakes(r#"{"email": {"client_id": ["a"], "issuer": "https://id.example"}}"#).len(), 1);
    }

    /// A new key in PEM.
    fn pem(algorithm: Algorithm) -> String {
        let pair = KeyPair::generate(algorithm).unwrap();
        let envelope = Envelope::new(&Secret::new("for the test")).unwrap();
        let sealed = pair.seal(&envelope, &*SeededRng::new(1)).unwrap();
        let document = envelope.open(&sealed, &pair.jwk().kid).unwrap();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&*document))
    }

    #[test]
    fn secret_of_apple_is_its_key_with_team_and_id_or_a_signed_token() {
        let with = |secret: &str, more: serde_json::Value| {
            let mut apple = json!({ "client_id": ["a"], "secret": secret });
            apple.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            mistakes(&json!({ "apple": apple }).to_string())
        };
        let registered = json!({ "team_id": "T", "key_id": "K" });
        let key = pem(Algorithm::Es256);
        assert_eq!(with(&key, registered.clone()), Vec::<String>::new());
        assert_eq!(with(&key.replace('\n', "\\n"), registered.clone()), Vec::<String>::new());
        let missing = "auth.external.apple.team_id: a private key needs team_id and key_id";
        assert_eq!(with(&key, json!({ "key_id": "K" })), [missing]);
        for wrong in
            [&*pem(Algorithm::EdDsa), "-----BEGIN PRIVATE KEY-----", &key.replace("PRIVATE", "EC PRIVATE")]
        {
            let found = with(wrong, registered.clone());
            assert!(
                found.len() == 1 && found[0].starts_with("auth.external.apple.secret: no private key"),
                "{found:?}"
            );
        }
        for wrong in ["secret", "a.b", "a..c"] {
            let found = with(wrong, json!({}));
            assert!(
                found.len() == 1 && found[0].starts_with("auth.external.apple.secret: expected"),
                "{found:?}"
            );
        }
        assert_eq!(with("e30.e30.c2ln", json!({})), Vec::<String>::new());
        assert_eq!(with("e30.e30.c2ln", registered).len(), 1, "with team and id it would have to sign");
        assert_eq!(with("secret", json!({ "issuer": "https://id.example" })), Vec::<String>::new());
    }
}
