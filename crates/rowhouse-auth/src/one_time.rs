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
    /// A change of the address, by the owner of the new one.
    EmailChangeNew,
    /// The same, by the owner of the account's own.
    EmailChangeCurrent,
    /// That the user of a session owns the address.
    Reauthentication,
    /// The number of an account, confirmed or not.
    PhoneConfirmation,
    /// A change of the number, by the owner of the new one.
    PhoneChange,
}

impl TokenType {
    /// The name in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation_token",
            Self::Recovery => "recovery_token",
            Self::EmailChangeNew => "email_change_token_new",
            Self::EmailChangeCurrent => "email_change_token_current",
            Self::Reauthentication => "reauthentication_token",
            Self::PhoneConfirmation => "phone_confirmation_token",
            Self::PhoneChange => "phone_change_token",
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
    EmailChange,
    PhoneChange,
    Reauthentication,
}

impl Purpose {
    /// The name in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "signup",
            Self::Invite => "invite",
            Self::MagicLink => "magiclink",
            Self::Recovery => "recovery",
            Self::EmailChange => "email_change",
            Self::PhoneChange => "phone_change",
            Self::Reauthentication => "reauthentication",
        }
    }

    /// The purpose stored under this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::SignUp,
            Self::Invite,
            Self::MagicLink,
            Self::Recovery,
            Self::EmailChange,
            Self::PhoneChange,
            Self::Reauthentication,
        ];
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
    /// A change of the address, to be confirmed by the owner of the new one.
    pub(crate) const EMAIL_CHANGE_NEW: Self =
        Self { token_type: TokenType::EmailChangeNew, purpose: Purpose::EmailChange };
    /// The same, by the owner of the account's own.
    pub(crate) const EMAIL_CHANGE_CURRENT: Self =
        Self { token_type: TokenType::EmailChangeCurrent, purpose: Purpose::EmailChange };
    /// A change of the number.
    pub(crate) const PHONE_CHANGE: Self =
        Self { token_type: TokenType::PhoneChange, purpose: Purpose::PhoneChange };
    /// The nonce of a session.
    pub(crate) const REAUTHENTICATION: Self =
        Self { token_type: TokenType::Reauthentication, purpose: Purpose::Reauthentication };

    /// The link's `type`; `None` without a link. Somebody without a confirmed account who asks for a magic link confirms a
    /// sign-up.
    pub(crate) fn verify_type(self) -> Option<VerifyType> {
        Some(match (self.token_type, self.purpose) {
            (TokenType::Confirmation, Purpose::Invite) => VerifyType::Invite,
            (TokenType::Confirmation, _) => VerifyType::Signup,
            (TokenType::Recovery, Purpose::Recovery) => VerifyType::Recovery,
            (TokenType::Recovery, _) => VerifyType::MagicLink,
            (TokenType::EmailChangeNew | TokenType::EmailChangeCurrent, _) => VerifyType::EmailChange,
            (TokenType::Reauthentication | TokenType::PhoneConfirmation | TokenType::PhoneChange, _) => {
                return None;
            }
        })
    }

    pub(crate) fn letter(self) -> Letter {
        match self.verify_type() {
            Some(VerifyType::Invite) => Letter::Invite,
            Some(VerifyType::Signup | VerifyType::Email) => Letter::Confirmation,
            Some(VerifyType::Recovery) => Letter::Recovery,
            Some(VerifyType::MagicLink) => Letter::MagicLink,
            Some(VerifyType::EmailChange) => Letter::EmailChange,
            Some(VerifyType::Sms | VerifyType::PhoneChange) | None => Letter::Reauthentication,
        }
    }

    /// How a session is authenticated that a code challenge leads to.
    pub(crate) fn method(self) -> Method {
        match self.verify_type() {
            Some(VerifyType::Invite) => Method::Invite,
            Some(VerifyType::Signup | VerifyType::Email) => Method::EmailSignup,
            Some(VerifyType::Recovery) => Method::Recovery,
            Some(VerifyType::MagicLink) => Method::MagicLink,
            Some(VerifyType::EmailChange) => Method::EmailChange,
            Some(VerifyType::Sms | VerifyType::PhoneChange) | None => Method::Otp,
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
    EmailChange,
    /// A code for signing in by number.
    Sms,
    PhoneChange,
}

impl VerifyType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Signup => "signup",
            Self::Invite => "invite",
            Self::Recovery => "recovery",
            Self::MagicLink => "magiclink",
            Self::Email => "email",
            Self::EmailChange => "email_change",
            Self::Sms => "sms",
            Self::PhoneChange => "phone_change",
        }
    }

    /// Whether it is about a number; then only codes are sent, no links.
    pub(crate) fn is_of_phone(self) -> bool {
        matches!(self, Self::Sms | Self::PhoneChange)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::Signup,
            Self::Invite,
            Self::Recovery,
            Self::MagicLink,
            Self::Email,
            Self::EmailChange,
            Self::Sms,
            Self::PhoneChange,
        ];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Names of the types of tokens that it accepts.
    pub(crate) fn token_types(self) -> &'static [&'static str] {
        match self {
            Self::Signup | Self::Invite => &["confirmation_token"],
            Self::Recovery | Self::MagicLink => &["recovery_token"],
            Self::Email => &["confirmation_token", "recovery_token"],
            Self::EmailChange => &["email_change_token_new", "email_change_token_current"],
            Self::Sms => &["phone_confirmation_token"],
            Self::PhoneChange => &["phone_change_token"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_names_accepts_the_token_in_it() {
        let types = [
            TokenType::Confirmation,
            TokenType::Recovery,
            TokenType::EmailChangeNew,
            TokenType::EmailChangeCurrent,
        ];
        for token_type in types {
            for purpose in [Purpose::SignUp, Purpose::Invite, Purpose::MagicLink, Purpose::Recovery] {
                let kind = Sent { token_type, purpose }.verify_type().unwrap();
                assert!(kind.token_types().contains(&token_type.as_str()), "{token_type:?} {purpose:?}");
                assert_eq!(VerifyType::parse(kind.as_str()), Some(kind));
                assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
            }
        }
    }
}
