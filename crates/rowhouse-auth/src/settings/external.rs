//! `[auth.external.NAME]`: providers of external sign-in. Leaves what a name stands for to `provider::preset`.

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
        let is_key = self.secret.as_ref().is_some_and(|secret| secret.expose().contains("-----BEGIN"));
        if is_key && (self.team_id.is_none() || self.key_id.is_none()) {
            fields.refuse("team_id", "a private key needs team_id and key_id");
        }
    }
}

fn is_web_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::settings::{Findings, Named, Setting};

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
                r#"{"apple": {"client_id": ["a"], "secret": "-----BEGIN PRIVATE KEY-----"}}"#,
                "auth.external.apple.team_id: a private key needs team_id and key_id".to_owned(),
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
}
