//! Applications as they are registered.

use time::OffsetDateTime;
use uuid::Uuid;

/// Declares an enum of words that are stored and told as they are written.
macro_rules! stored_words {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$note])* $variant),+ }

        impl $name {
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub(crate) fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

stored_words! {
    /// Whether it can keep a secret (RFC 6749 section 2.1).
    ClientType { Public = "public", Confidential = "confidential" }
}
stored_words! {
    /// How it authenticates at the token endpoint (RFC 7591 section 2).
    AuthMethod {
        Basic = "client_secret_basic",
        Post = "client_secret_post",
        /// Only by its id: a public client.
        None = "none"
    }
}
stored_words! {
    /// What it may exchange for tokens.
    GrantType { AuthorizationCode = "authorization_code", RefreshToken = "refresh_token" }
}
stored_words! {
    /// Who registered it.
    Registration {
        /// Anybody, by RFC 7591.
        Dynamic = "dynamic",
        /// An administrator.
        Manual = "manual"
    }
}

impl AuthMethod {
    /// The type of clients that authenticate so.
    pub(crate) fn client_type(self) -> ClientType {
        match self {
            Self::None => ClientType::Public,
            Self::Basic | Self::Post => ClientType::Confidential,
        }
    }
}

/// An application.
#[derive(Debug, Clone)]
pub(crate) struct OauthClient {
    pub(crate) id: Uuid,
    /// SHA-256, base64url. A public client has none.
    pub(crate) secret_hash: Option<String>,
    pub(crate) registration: Registration,
    pub(crate) client_type: ClientType,
    pub(crate) auth_method: AuthMethod,
    pub(crate) redirect_uris: Vec<String>,
    /// Where a sign-out may lead.
    pub(crate) post_logout_redirect_uris: Vec<String>,
    pub(crate) grant_types: Vec<GrantType>,
    pub(crate) name: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) logo_uri: Option<String>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

impl OauthClient {
    pub(crate) fn is_public(&self) -> bool {
        self.client_type == ClientType::Public
    }

    /// Only the exact text is allowed: any pattern that matches more has been used to steal codes.
    pub(crate) fn allows_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered == uri)
    }

    /// The same for the end of a sign-out.
    pub(crate) fn allows_post_logout(&self, uri: &str) -> bool {
        self.post_logout_redirect_uris.iter().any(|registered| registered == uri)
    }

    pub(crate) fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }

    /// Whether `secret` is its secret.
    pub(crate) fn has_secret(&self, secret: &str) -> bool {
        self.secret_hash.as_ref().is_some_and(|digest| has_digest(secret, digest))
    }

    /// Whether a request that asks for nothing new may be answered without asking the user again. Not for an application
    /// that anybody can pretend to be: one without a secret whose code goes to whoever listens on this machine
    /// (RFC 8252 section 8.6).
    pub(crate) fn may_skip_consent(&self, redirect_uri: &str) -> bool {
        !self.is_public() || redirect_uri.starts_with("https://")
    }
}

/// Whether a secret has the digest under which it is stored.
pub(super) fn has_digest(secret: &str, digest: &str) -> bool {
    let presented = rowhouse_crypto::sha256_base64url(secret.as_bytes());
    rowhouse_crypto::is_equal(digest.as_bytes(), presented.as_bytes())
}
