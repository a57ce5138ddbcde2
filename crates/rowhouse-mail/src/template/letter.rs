//! What the program itself writes to people, and the variables of that.

use serde::Serialize;
use serde_json::{Value, json};

/// What the program writes to people.
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
    /// Show with a code that it is you.
    Reauthentication,
    /// Shows that mails arrive.
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
        Self::Test,
    ];

    /// The name of its files; those of GoTrue's templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::MagicLink => "magic_link",
            Self::Recovery => "recovery",
            Self::Invite => "invite",
            Self::EmailChange => "email_change",
            Self::Reauthentication => "reauthentication",
            Self::Test => "test",
        }
    }

    /// Whether a template of that name is one of the program's.
    pub(super) fn is_name(name: &str) -> bool {
        Self::ALL.iter().any(|letter| letter.name() == name)
    }
}

/// What templates may name; GoTrue's names, so that its templates work (`{{ .Token }}` and `{{ Token }}` are the same).
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Variables {
    /// The product; from `mail.site_name` where empty.
    pub site_name: String,
    /// Where the application is.
    #[serde(rename = "SiteURL")]
    pub site_url: String,
    /// The link that does what the letter is about.
    #[serde(rename = "ConfirmationURL")]
    pub confirmation_url: String,
    /// The code that does the same when typed.
    pub token: String,
    /// The token for links of one's own.
    pub token_hash: String,
    /// Where the link leads in the end.
    pub redirect_to: String,
    /// The account's address.
    pub email: String,
    /// The address it is to have.
    pub new_email: String,
    /// The user's metadata.
    pub data: Value,
}

impl Variables {
    /// One of everything, for trying templates.
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
