//! How a session was authenticated: the entries of the claim `amr` (RFC 8176), with GoTrue's names.

use serde::{Deserialize, Serialize};

/// One way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Password,
    /// A code or link by mail or message.
    Otp,
    /// Another provider.
    Oauth,
    Totp,
    MfaPhone,
    MfaWebauthn,
    /// A recovery code in place of a second factor; ours.
    RecoveryCode,
    Anonymous,
    MagicLink,
    Recovery,
    Invite,
    EmailSignup,
    EmailChange,
    Passkey,
    /// A user's consent, for an application's session.
    OauthAuthorizationCode,
}

impl Method {
    /// The name in the claim and in `auth.mfa_amr_claims`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Otp => "otp",
            Self::Oauth => "oauth",
            Self::Totp => "totp",
            Self::MfaPhone => "mfa/phone",
            Self::MfaWebauthn => "mfa/webauthn",
            Self::RecoveryCode => "mfa/recovery_code",
            Self::Anonymous => "anonymous",
            Self::MagicLink => "magiclink",
            Self::Recovery => "recovery",
            Self::Invite => "invite",
            Self::EmailSignup => "email/signup",
            Self::EmailChange => "email_change",
            Self::Passkey => "passkey",
            Self::OauthAuthorizationCode => "oauth_provider/authorization_code",
        }
    }

    /// The method stored under this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    const ALL: [Self; 15] = [
        Self::Password,
        Self::Otp,
        Self::Oauth,
        Self::Totp,
        Self::MfaPhone,
        Self::MfaWebauthn,
        Self::RecoveryCode,
        Self::Anonymous,
        Self::MagicLink,
        Self::Recovery,
        Self::Invite,
        Self::EmailSignup,
        Self::EmailChange,
        Self::Passkey,
        Self::OauthAuthorizationCode,
    ];
}

/// A method with the provider, if it is another one's sign-in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedInBy<'a> {
    pub(crate) method: Method,
    pub(crate) provider: Option<&'a str>,
}

impl From<Method> for SignedInBy<'_> {
    fn from(method: Method) -> Self {
        Self { method, provider: None }
    }
}

/// An entry of `amr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amr {
    pub(crate) method: String,
    /// Seconds since 1970.
    pub(crate) timestamp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
}
