//! Letters that tell the owner of an account what was changed, in the transaction of the change.

use rowhouse_db::Transaction;
use rowhouse_mail::Letter;

use crate::Auth;
use crate::fault::Fault;
use crate::letter::{Details, NewLetter};
use crate::model::User;
use crate::request::Client;
use crate::settings::NotificationSettings;

/// What was changed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notification<'a> {
    PasswordChanged,
    /// Told to the former address.
    EmailChanged {
        old: &'a str,
    },
    IdentityLinked {
        provider: &'a str,
    },
    IdentityUnlinked {
        provider: &'a str,
    },
    FactorEnrolled {
        factor_type: &'a str,
    },
    FactorUnenrolled {
        factor_type: &'a str,
    },
    PasskeyAdded,
    PasskeyRemoved,
    PhoneChanged {
        old: &'a str,
    },
    SignInLocked,
}

impl<'a> Notification<'a> {
    fn letter(self) -> Letter {
        match self {
            Self::PasswordChanged => Letter::PasswordChanged,
            Self::EmailChanged { .. } => Letter::EmailChanged,
            Self::IdentityLinked { .. } => Letter::IdentityLinked,
            Self::IdentityUnlinked { .. } => Letter::IdentityUnlinked,
            Self::FactorEnrolled { .. } => Letter::FactorEnrolled,
            Self::FactorUnenrolled { .. } => Letter::FactorUnenrolled,
            Self::PasskeyAdded => Letter::PasskeyAdded,
            Self::PasskeyRemoved => Letter::PasskeyRemoved,
            Self::PhoneChanged { .. } => Letter::PhoneChanged,
            Self::SignInLocked => Letter::SignInLocked,
        }
    }

    fn details(self) -> Details<'a> {
        let none = Details::default();
        match self {
            Self::EmailChanged { old } => Details { old_email: old, ..none },
            Self::IdentityLinked { provider } | Self::IdentityUnlinked { provider } => {
                Details { provider, ..none }
            }
            Self::FactorEnrolled { factor_type } | Self::FactorUnenrolled { factor_type } => {
                Details { factor_type, ..none }
            }
            Self::PhoneChanged { old } => Details { old_phone: old, ..none },
            Self::PasswordChanged | Self::PasskeyAdded | Self::PasskeyRemoved | Self::SignInLocked => none,
        }
    }

    /// Whether such letters are written.
    pub(crate) fn is_enabled(self, settings: &NotificationSettings) -> bool {
        match self {
            Self::PasswordChanged => settings.mailer_notifications_password_changed_enabled,
            Self::EmailChanged { .. } => settings.mailer_notifications_email_changed_enabled,
            Self::IdentityLinked { .. } => settings.mailer_notifications_identity_linked_enabled,
            Self::IdentityUnlinked { .. } => settings.mailer_notifications_identity_unlinked_enabled,
            Self::FactorEnrolled { .. } => settings.mailer_notifications_mfa_factor_enrolled_enabled,
            Self::FactorUnenrolled { .. } => settings.mailer_notifications_mfa_factor_unenrolled_enabled,
            Self::PasskeyAdded => settings.mailer_notifications_passkey_added_enabled,
            Self::PasskeyRemoved => settings.mailer_notifications_passkey_removed_enabled,
            Self::PhoneChanged { .. } => settings.mailer_notifications_phone_changed_enabled,
            Self::SignInLocked => settings.mailer_notifications_sign_in_locked_enabled,
        }
    }
}

/// Writes the letter, if such letters are wanted, can leave, and the account has a confirmed address.
pub(crate) async fn tell(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    what: Notification<'_>,
    client: &Client,
) -> Result<(), Fault> {
    let to = match what {
        Notification::EmailChanged { old } => old,
        _ => &user.email,
    };
    let is_wanted = what.is_enabled(&auth.notifications) && auth.letters.require_way().is_ok();
    if to.is_empty() || user.email_confirmed_at.is_none() || !is_wanted {
        return Ok(());
    }
    let letter = NewLetter {
        letter: what.letter(),
        to,
        user,
        details: what.details(),
        issued: None,
        link: None,
        redirect_to: &auth.site,
    };
    auth.letters.send(tx, &letter, client).await
}
