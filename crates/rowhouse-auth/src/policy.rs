//! Validation of addresses and passwords.

use rowhouse_crypto::password::MAX_BYTES;
use rowhouse_kernel::Secret;
use serde::{Deserialize, Deserializer, Serialize};

use crate::breach::{BreachError, BreachList};
use crate::settings::AuthSettings;

/// Longest address stored.
const MAX_EMAIL: usize = 255;
/// The rules, as GoTrue names them.
const REASON_LENGTH: &str = "length";
const REASON_CHARACTERS: &str = "characters";
const REASON_PWNED: &str = "pwned";

/// A password as it arrived: masked in `Debug`, wiped when dropped.
#[derive(Debug, Clone)]
pub(crate) struct Password(Secret);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl Password {
    /// The plain text, for hashing.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Refuses passwords against the policy.
    pub(crate) fn require_acceptable(&self, settings: &AuthSettings) -> Result<(), PasswordError> {
        if self.expose().len() > MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        self.weakness(settings).map_or(Ok(()), |weak| Err(PasswordError::Weak(weak)))
    }

    /// The same, and those in a list of breached passwords.
    pub(crate) async fn require_safe(
        &self,
        settings: &AuthSettings,
        breaches: &BreachList,
    ) -> Result<(), PasswordError> {
        self.require_acceptable(settings)?;
        match breaches.has(self.expose()).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(PasswordError::Weak(WeakPassword::breached())),
            Err(error) if settings.password_breached_required => Err(PasswordError::Unchecked(error)),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "a new password was not compared with breached ones");
                Ok(())
            }
        }
    }

    /// How it violates the policy; also reported, without refusing, at sign-ins with an older password.
    pub(crate) fn weakness(&self, settings: &AuthSettings) -> Option<WeakPassword> {
        let shortest = usize::from(settings.password_min_length);
        let classes = &settings.password_required_characters;
        let has = |class: &String| self.expose().chars().any(|character| class.contains(character));
        let (mut messages, mut reasons) = (Vec::new(), Vec::new());
        if self.expose().chars().count() < shortest {
            messages.push(format!("Password should be at least {shortest} characters."));
            reasons.push(REASON_LENGTH);
        }
        if !classes.iter().all(has) {
            let classes = classes.join(", ");
            messages.push(format!("Password should contain at least one character of each: {classes}."));
            reasons.push(REASON_CHARACTERS);
        }
        (!reasons.is_empty()).then(|| WeakPassword { message: messages.join(" "), reasons })
    }
}

/// Why a password is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Longer than bcrypt compares.
    #[error("Password cannot be longer than {MAX_BYTES} characters")]
    TooLong,
    /// Against the policy.
    #[error("{}", .0.message)]
    Weak(WeakPassword),
    /// Nobody knows whether it is breached, and `auth.password_breached_required` is on.
    #[error(transparent)]
    Unchecked(BreachError),
}

impl WeakPassword {
    /// In a list of breached passwords.
    pub(crate) fn breached() -> Self {
        let message =
            "Password is known to be weak and easy to guess, please choose a different one.".to_owned();
        Self { message, reasons: vec![REASON_PWNED] }
    }
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EmailError {
    #[error("An email address is required")]
    Missing,
    #[error("An email address is too long")]
    TooLong,
    #[error("Unable to validate email address: invalid format")]
    Malformed,
    /// Not in a domain of `auth.allowed_email_domains`.
    #[error("Email address cannot be used as it is not authorized")]
    NotAuthorized,
}

/// Why a password is weak, in GoTrue's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WeakPassword {
    /// For people.
    pub(crate) message: String,
    /// For programs: `length`, `characters`, `pwned`.
    pub(crate) reasons: Vec<&'static str>,
}

/// Lower-cases an address and checks its syntax (the HTML standard's grammar).
pub(crate) fn email(address: &str) -> Result<String, EmailError> {
    if address.is_empty() {
        return Err(EmailError::Missing);
    }
    if address.len() > MAX_EMAIL {
        return Err(EmailError::TooLong);
    }
    let well_formed =
        address.rsplit_once('@').is_some_and(|(local, domain)| is_local(local) && is_domain(domain));
    // What mail cannot be sent to would be found out only when a letter is written.
    let well_formed = well_formed && rowhouse_mail::read_mailbox("email", address).is_ok();
    if well_formed { Ok(address.to_ascii_lowercase()) } else { Err(EmailError::Malformed) }
}

/// The same for addresses that users choose themselves, which may be bound to domains.
pub(crate) fn chosen_email(address: &str, settings: &AuthSettings) -> Result<String, EmailError> {
    let address = email(address)?;
    let domains = &settings.allowed_email_domains;
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let is_allowed = domains.is_empty() || domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain));
    if is_allowed { Ok(address) } else { Err(EmailError::NotAuthorized) }
}

fn is_local(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
}

fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests;
