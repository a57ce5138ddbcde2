//! The built-in templates and their variables.

use serde::Serialize;
use serde_json::{Value, json};

/// A built-in template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter {
    /// Confirm the address of a new account.
    Confirmation,
    /// Sign in with a link or code.
    MagicLink,
    /// Choose a new password.
    Recovery,
    /// Accept an invitation to open an account.
    Invite,
    /// Accept an invitation to an organization.
    OrganizationInvite,
    /// Confirm a changed address.
    EmailChange,
    /// Confirm an identity with a code.
    Reauthentication,
    /// Told to the owner of an account when somebody signs up with its address again.
    AccountExists,
    /// A password was changed.
    PasswordChanged,
    /// An address was changed; to the former one.
    EmailChanged,
    /// Another way to sign in was added.
    IdentityLinked,
    /// A way to sign in was removed.
    IdentityUnlinked,
    /// A second factor was added.
    FactorEnrolled,
    /// A second factor was removed.
    FactorUnenrolled,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey was removed.
    PasskeyRemoved,
    /// A number was changed.
    PhoneChanged,
    /// Somebody has entered many wrong passwords.
    SignInLocked,
    /// Test delivery.
    Test,
}

impl Letter {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Confirmation,
        Self::MagicLink,
        Self::Recovery,
        Self::Invite,
        Self::OrganizationInvite,
        Self::EmailChange,
        Self::Reauthentication,
        Self::AccountExists,
        Self::PasswordChanged,
        Self::EmailChanged,
        Self::IdentityLinked,
        Self::IdentityUnlinked,
        Self::FactorEnrolled,
        Self::FactorUnenrolled,
        Self::PasskeyAdded,
        Self::PasskeyRemoved,
        Self::PhoneChanged,
        Self::SignInLocked,
        Self::Test,
    ];

    /// The name of its files, which is that of GoTrue's template if it has one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::MagicLink => "magic_link",
            Self::Recovery => "recovery",
            Self::Invite => "invite",
            Self::OrganizationInvite => "organization_invite",
            Self::EmailChange => "email_change",
            Self::Reauthentication => "reauthentication",
            Self::AccountExists => "account_exists",
            Self::PasswordChanged => "password_changed_notification",
            Self::EmailChanged => "email_changed_notification",
            Self::IdentityLinked => "identity_linked_notification",
            Self::IdentityUnlinked => "identity_unlinked_notification",
            Self::FactorEnrolled => "mfa_factor_enrolled_notification",
            Self::FactorUnenrolled => "mfa_factor_unenrolled_notification",
            Self::PasskeyAdded => "passkey_added_notification",
            Self::PasskeyRemoved => "passkey_removed_notification",
            Self::PhoneChanged => "phone_changed_notification",
            Self::SignInLocked => "sign_in_locked_notification",
            Self::Test => "test",
        }
    }

    /// Whether it only tells something: nothing can be done with it.
    #[must_use]
    pub fn is_notification(self) -> bool {
        self == Self::AccountExists || self.name().ends_with("_notification")
    }

    /// Whether a built-in template has that name.
    pub(super) fn is_name(name: &str) -> bool {
        Self::ALL.iter().any(|letter| letter.name() == name)
    }
}

/// Variables of templates; they have GoTrue's names, so that its templates work (`{{ .Token }}` and `{{ Token }}` are
/// the same).
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Variables {
    /// The product; from `mail.site_name` where empty.
    pub site_name: String,
    /// The application's URL.
    #[serde(rename = "SiteURL")]
    pub site_url: String,
    /// The link that performs the action.
    #[serde(rename = "ConfirmationURL")]
    pub confirmation_url: String,
    /// The code that does the same when entered.
    pub token: String,
    /// The token for links of one's own.
    pub token_hash: String,
    /// The URL to which the link redirects.
    pub redirect_to: String,
    /// The account's address.
    pub email: String,
    /// The new address.
    pub new_email: String,
    /// The former address, in the letter about its change.
    pub old_email: String,
    /// The provider of an identity that was linked or unlinked.
    pub provider: String,
    /// The kind of a second factor that was added or removed: `totp`, `phone` or `webauthn`.
    pub factor_type: String,
    /// The user's metadata; of an invitation `organization`, `inviter`, `role` and `expires_at`.
    pub data: Value,
}

impl Variables {
    /// Sample values, for checking templates.
    #[must_use]
    pub fn sample() -> Self {
        Self {
            site_name: "Sample".to_owned(),
            site_url: "https://app.example".to_owned(),
            confirmation_url: "https://app.example/auth/v1/verify?token=abc&type=signup".to_owned(),
            token: "123456".to_owned(),
            token_hash: "0123456789abcdef".to_owned(),
            redirect_to: "https://app.example/welcome".to_owned(),
            email: "ada@b.example".to_owned(),
            new_email: "lovelace@b.example".to_owned(),
            old_email: "byron@b.example".to_owned(),
            provider: "google".to_owned(),
            factor_type: "totp".to_owned(),
            data: json!({ "name": "Ada" }),
        }
    }
}
