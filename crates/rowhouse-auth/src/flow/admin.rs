//! Management of users by administrators.

use rowhouse_crypto::password::is_supported;
use rowhouse_db::Transaction;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::account::merged;
use crate::flow::new_user::{EMAIL, PHONE, new_phone_user, new_user};
use crate::flow::phone_change;
use crate::metadata::{self, MetadataError};
use crate::model::{Object, User};
use crate::phone::Phone;
use crate::policy::{self, EmailError, Password, PasswordError};
use crate::request::Client;
use crate::store::session::Scope;
use crate::store::user_change::{self, UserChange, WriteError};
use crate::store::user_creation::{self, NewUser};
use crate::store::{phone_user, session, user, user_deletion};

/// Why a user is not shown, created, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error("User not found")]
    NoSuchUser,
    #[error("Cannot create a user without either an email or phone")]
    NoAddress,
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("Only a password or a password hash should be provided")]
    PasswordAndHash,
    #[error("Unsupported password hash")]
    UnsupportedHash,
    #[error("invalid format for ban duration")]
    BanDuration,
    #[error("The user is the last owner of the organization {0}; make another member owner first")]
    LastOwner(String),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(AdminError);

/// Longest ban; GoTrue's clients ban for a hundred years.
const LONGEST_BAN: Duration = Duration::days(200 * 366);

/// What an administrator may set; `None` leaves a field unchanged.
#[derive(Debug, Default)]
pub(crate) struct Directive {
    pub(crate) id: Option<Uuid>,
    pub(crate) email: Option<String>,
    pub(crate) email_confirm: bool,
    pub(crate) phone: Option<Phone>,
    pub(crate) phone_confirm: bool,
    pub(crate) password: Option<Password>,
    /// An imported hash, instead of a password.
    pub(crate) password_hash: Option<String>,
    pub(crate) user_metadata: Option<Object>,
    pub(crate) app_metadata: Option<Object>,
    pub(crate) role: Option<String>,
    /// A duration such as `24h`, or `none`.
    pub(crate) ban_duration: Option<String>,
}

/// Creates a user, confirmed only if so directed.
pub(crate) async fn create(auth: &Auth, client: &Client, directive: Directive) -> Result<User, AdminError> {
    let id = directive.id.unwrap_or_else(|| auth.new_id());
    let base = base(id, &directive)?;
    let now = auth.now();
    let banned_until =
        directive.ban_duration.as_deref().map(|text| ban_end(text, now)).transpose()?.flatten();
    let encrypted_password = hash(auth, directive.password, directive.password_hash).await?;
    let mut user_metadata = metadata::user(0, directive.user_metadata.unwrap_or_default())?;
    if base.is_confirmed {
        user_metadata.insert("email_verified".to_owned(), true.into());
    }
    if base.is_phone_confirmed {
        user_metadata.insert("phone_verified".to_owned(), true.into());
    }
    let role = directive.role.filter(|role| !role.is_empty()).unwrap_or(base.role);
    let app_metadata =
        metadata::app(0, merged(base.app_metadata, &directive.app_metadata.unwrap_or_default()))?;
    let new = NewUser { encrypted_password, banned_until, role, app_metadata, user_metadata, ..base };
    let identity = auth.new_id();
    let work = async move |tx: &Transaction<'_>| {
        require_free(tx, &new).await?;
        user_creation::insert(tx, &new, identity, now).await?;
        user::find(tx, id).await?.map(|row| row.user).ok_or(AdminError::NoSuchUser)
    };
    auth.control.run_tx(&client.operation("auth.admin_create_user"), work).await
}

/// A new user with what names it: address, number, or both.
fn base(id: Uuid, directive: &Directive) -> Result<NewUser, AdminError> {
    let email =
        directive.email.as_deref().filter(|email| !email.is_empty()).map(policy::email).transpose()?;
    let of_phone = |phone| new_phone_user(id, phone, Object::new(), directive.phone_confirm);
    match (email, &directive.phone) {
        (None, None) => Err(AdminError::NoAddress),
        (None, Some(phone)) => Ok(of_phone(phone)),
        (Some(email), None) => Ok(new_user(id, email, Object::new(), directive.email_confirm)),
        (Some(email), Some(phone)) => {
            let NewUser { phone, is_phone_confirmed, .. } = of_phone(phone);
            let mut new = new_user(id, email, Object::new(), directive.email_confirm);
            new.app_metadata.insert("providers".to_owned(), serde_json::json!([EMAIL, PHONE]));
            Ok(NewUser { phone, is_phone_confirmed, ..new })
        }
    }
}

async fn require_free(tx: &Transaction<'_>, new: &NewUser) -> Result<(), WriteError> {
    if !new.email.is_empty() {
        user_change::require_free(tx, &new.email, new.id).await?;
    }
    match new.phone.is_empty() {
        true => Ok(()),
        false => phone_user::require_free(tx, &new.phone, new.id).await,
    }
}

/// Changes a user; an address takes effect at once, a new password ends every session.
pub(crate) async fn update(
    auth: &Auth,
    client: &Client,
    id: Uuid,
    mut directive: Directive,
) -> Result<User, AdminError> {
    let now = auth.now();
    let email =
        directive.email.as_deref().filter(|email| !email.is_empty()).map(policy::email).transpose()?;
    let banned_until = directive.ban_duration.as_deref().map(|text| ban_end(text, now)).transpose()?;
    let encrypted_password = hash(auth, directive.password.take(), directive.password_hash.take()).await?;
    let service = auth.clone();
    let work = async move |tx: &Transaction<'_>| {
        let row = user::lock(tx, id).await?.ok_or(AdminError::NoSuchUser)?;
        if let Some(email) = &email {
            user_change::require_free(tx, email, id).await?;
        }
        let (user_metadata, app_metadata) = metadata_of(row.user, &directive)?;
        let change = UserChange {
            email: email.clone(),
            confirm_email: directive.email_confirm,
            encrypted_password: encrypted_password.clone(),
            user_metadata,
            app_metadata,
            role: directive.role.clone().filter(|role| !role.is_empty()),
            banned_until,
            ..UserChange::default()
        };
        user_change::update(tx, id, &change, now).await?;
        match &directive.phone {
            Some(phone) => {
                let change = (phone.as_str(), directive.phone_confirm);
                phone_change::apply(&service, tx, id, change).await?;
            }
            None if directive.phone_confirm => phone_user::confirm(tx, id, true, now).await?,
            None => {}
        }
        if change.encrypted_password.is_some() {
            session::end(tx, id, None, Scope::Global).await?;
        }
        user::find(tx, id).await?.map(|row| row.user).ok_or(AdminError::NoSuchUser)
    };
    auth.control.run_tx(&client.operation("auth.admin_update_user"), work).await
}

/// Both kinds of metadata after the change, where they are changed.
fn metadata_of(user: User, directive: &Directive) -> Result<(Option<Object>, Option<Object>), MetadataError> {
    let (user_size, app_size) = (metadata::size(&user.user_metadata), metadata::size(&user.app_metadata));
    let mut user_metadata =
        directive.user_metadata.as_ref().map(|data| merged(user.user_metadata.clone(), data));
    if directive.email_confirm {
        let told = user_metadata.get_or_insert(user.user_metadata);
        told.insert("email_verified".to_owned(), true.into());
    }
    let app_metadata = directive.app_metadata.as_ref().map(|data| merged(user.app_metadata, data));
    Ok((
        user_metadata.map(|after| metadata::user(user_size, after)).transpose()?,
        app_metadata.map(|after| metadata::app(app_size, after)).transpose()?,
    ))
}

/// Deletes a user; `soft` keeps the row for foreign keys. An organization of others keeps an owner.
pub(crate) async fn delete(auth: &Auth, client: &Client, id: Uuid, soft: bool) -> Result<(), AdminError> {
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        if let Some(organization) = user_deletion::find_owned_alone(tx, id).await? {
            return Err(AdminError::LastOwner(organization));
        }
        let found = if soft {
            user_deletion::soft_delete(tx, id, now).await?
        } else {
            user_deletion::delete(tx, id).await?
        };
        if found { Ok(()) } else { Err(AdminError::NoSuchUser) }
    };
    auth.control.run_tx(&client.operation("auth.admin_delete_user"), work).await
}

async fn hash(
    auth: &Auth,
    password: Option<Password>,
    imported: Option<String>,
) -> Result<Option<String>, AdminError> {
    match (password, imported) {
        (Some(_), Some(_)) => Err(AdminError::PasswordAndHash),
        (Some(password), None) => {
            password.require_safe(&auth.settings, &auth.breaches).await?;
            Ok(Some(auth.hasher.hash(password).await?))
        }
        (None, Some(hash)) if is_supported(&hash) => Ok(Some(hash)),
        (None, Some(_)) => Err(AdminError::UnsupportedHash),
        (None, None) => Ok(None),
    }
}

/// The end of a ban: `none` lifts it, else Go's notation, such as `1h30m`.
fn ban_end(text: &str, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, AdminError> {
    if text == "none" {
        return Ok(None);
    }
    let invalid = || AdminError::BanDuration;
    let duration = go_duration(text).ok_or_else(invalid)?;
    now.checked_add(duration.min(LONGEST_BAN)).map(Some).ok_or_else(invalid)
}

/// Numbers with units, added up.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()));
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        let part = Duration::checked_seconds_f64(number.parse::<f64>().ok()? * seconds)?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_durations_are_gos() {
        assert_eq!(go_duration("24h"), Some(Duration::hours(24)));
        assert_eq!(go_duration("1h30m"), Some(Duration::minutes(90)));
        assert_eq!(go_duration("1.5s"), Some(Duration::milliseconds(1500)));
        for wrong in ["", "h", "5", "5d", "-5h", "1h x", "1..5h"] {
            assert_eq!(go_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn none_lifts_a_ban_and_for_ever_has_an_end() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        assert_eq!(ban_end("none", now).unwrap(), None);
        assert_eq!(ban_end("999999999h", now).unwrap(), Some(now + LONGEST_BAN));
        assert!(ban_end("soon", now).is_err());
    }
}
