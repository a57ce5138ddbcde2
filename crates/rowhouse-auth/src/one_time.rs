//! Links and codes that were sent to users: what each is for, and which of them a request may name. Leaves storing and
//! checking them to `flow/one_time.rs`.

use rowhouse_mail::Letter;

use crate::method::Method;

/// What a token confirms; a user has one of each. Names are those of `auth.one_time_token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// The address of an account that is not confirmed yet.
    Confirmation,
    /// That the owner of a confirmed address is there.
    Recovery,
}

impl TokenType {
    /// The name in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation_token",
            Self::Recovery => "recovery_token",
        }
    }
}

/// What was asked for; decides about the letter, and about what a verification does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    SignUp,
    Invite,
    MagicLink,
    Recovery,
}

impl Purpose {
    /// The name in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "signup",
            Self::Invite => "invite",
            Self::MagicLink => "magiclink",
            Self::Recovery => "recovery",
        }
    }

    /// The purpose stored under this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [Self::SignUp, Self::Invite, Self::MagicLink, Self::Recovery];
        all.into_iter().find(|purpose| purpose.as_str() == name)
    }
}

/// What is sent: a token of a type for a purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) token_type: TokenType,
    pub(crate) purpose: Purpose,
}

impl Sent {
    /// The link's `type`. Somebody without a confirmed account who asks for a magic link confirms a sign-up.
    pub(crate) fn verify_type(self) -> VerifyType {
        match (self.token_type, self.purpose) {
            (TokenType::Confirmation, Purpose::Invite) => VerifyType::Invite,
            (TokenType::Confirmation, _) => VerifyType::Signup,
            (TokenType::Recovery, Purpose::Recovery) => VerifyType::Recovery,
            (TokenType::Recovery, _) => VerifyType::MagicLink,
        }
    }

    pub(crate) fn letter(self) -> Letter {
        match self.verify_type() {
            VerifyType::Invite => Letter::Invite,
            VerifyType::Signup | VerifyType::Email => Letter::Confirmation,
            VerifyType::Recovery => Letter::Recovery,
            VerifyType::MagicLink => Letter::MagicLink,
        }
    }

    /// How a session is authenticated that a code challenge leads to.
    pub(crate) fn method(self) -> Method {
        match self.verify_type() {
            VerifyType::Invite => Method::Invite,
            VerifyType::Signup | VerifyType::Email => Method::EmailSignup,
            VerifyType::Recovery => Method::Recovery,
            VerifyType::MagicLink => Method::MagicLink,
        }
    }
}

/// The `type` of a verification, as GoTrue has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerifyType {
    Signup,
    Invite,
    Recovery,
    MagicLink,
    /// Any code for signing in.
    Email,
}

impl VerifyType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Invite => "invite",
            Self::Recovery => "recovery",
            Self::MagicLink => "magiclink",
            Self::Email => "email",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [Self::Signup, Self::Invite, Self::Recovery, Self::MagicLink, Self::Email];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Names of the types of tokens that it accepts.
    pub(crate) fn token_types(self) -> &'static [&'static str] {
        match self {
            Self::Signup | Self::Invite => &["confirmation_token"],
            Self::Recovery | Self::MagicLink => &["recovery_token"],
            Self::Email => &["confirmation_token", "recovery_token"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_names_accepts_the_token_in_it() {
        for token_type in [TokenType::Confirmation, TokenType::Recovery] {
            for purpose in [Purpose::SignUp, Purpose::Invite, Purpose::MagicLink, Purpose::Recovery] {
                let sent = Sent { token_type, purpose };
                assert!(sent.verify_type().token_types().contains(&token_type.as_str()), "{sent:?}");
                assert_eq!(VerifyType::parse(sent.verify_type().as_str()), Some(sent.verify_type()));
                assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
            }
        }
    }
}
