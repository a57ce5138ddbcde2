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
    /// Accept an invitation.
    Invite,
    /// Confirm a changed address.
    EmailChange,
    /// Confirm an identity with a code.
    Reauthentication,
    /// Told to the owner of an account when somebody signs up with its address again.
    AccountExists,
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
        Self::EmailChange,
        Self::Reauthentication,
        Self::AccountExists,
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
            Self::EmailChange => "email_change",
            Self::Reauthentication => "reauthentication",
            Self::AccountExists => "account_exists",
            Self::Test => "test",
        }
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
    /// The user's metadata.
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
            data: json!({ "name": "Ada" }),
        }
    }
}
