//! Enrolling and removing second factors.

use rowhouse_crypto::TotpSecret;
use rowhouse_db::Transaction;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::Auth;
use crate::factor::{FactorType, host};
use crate::fault::{Fault, carry_fault};
use crate::flow::holder::{self, Holder, HolderError};
use crate::flow::notification::{self, Notification};
use crate::model::{Factor, User};
use crate::phone::Phone;
use crate::request::{Client, SignedIn};
use crate::sealed;
use crate::sealed_text::factor_label;
use crate::store::factor::{self, FactorRow, NewFactor, RenameError};
use crate::store::{assurance, audit, recovery_code, user};

/// Longest name of a factor.
pub(crate) const MAX_NAME: usize = 120;

/// Why a factor is not enrolled, removed or renamed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FactorError {
    #[error(transparent)]
    Holder(#[from] HolderError),
    #[error("friendly_name must be {MAX_NAME} characters or less")]
    NameTooLong,
    /// Configuration does not allow such factors.
    #[error("MFA enroll is disabled for {}", kind_name(*.0))]
    Disabled(FactorType),
    /// The user has another factor of this name.
    #[error("A factor with the friendly name {0:?} for this user already exists")]
    NameTaken(String),
    /// The user has a verified factor with this number.
    #[error("A verified phone factor already exists, unenroll the existing factor to continue")]
    PhoneExists,
    /// The user has as many factors as are allowed.
    #[error("Maximum number of verified factors reached, unenroll to continue")]
    TooMany,
    /// A further factor needs a session with one.
    #[error("AAL2 required to enroll a new factor")]
    EnrollNeedsAal2,
    /// Removing a verified factor needs a session with one.
    #[error("AAL2 required to unenroll verified factor")]
    UnenrollNeedsAal2,
    /// The user has no such factor.
    #[error("Factor not found")]
    NotFound,
    #[error(transparent)]
    Rename(#[from] RenameError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(FactorError);

/// As GoTrue's messages have it.
pub(crate) fn kind_name(kind: FactorType) -> &'static str {
    match kind {
        FactorType::Totp => "TOTP",
        FactorType::Phone => "Phone",
        FactorType::WebAuthn => "WebAuthn",
    }
}

/// A factor to be enrolled.
#[derive(Debug)]
pub(crate) struct Enrolment {
    pub(crate) kind: FactorType,
    pub(crate) friendly_name: String,
    /// The service's name in the authenticator app.
    pub(crate) issuer: Option<String>,
    /// Of a factor of the kind `phone`.
    pub(crate) phone: Option<Phone>,
}

/// An enrolled factor, to be verified.
#[derive(Debug)]
pub(crate) struct Enrolled {
    pub(crate) id: Uuid,
    pub(crate) friendly_name: String,
    pub(crate) key: Option<AppKey>,
}

/// What an authenticator app is set up with; shown once.
#[derive(Debug)]
pub(crate) struct AppKey {
    pub(crate) issuer: String,
    /// The user's address, number or id.
    pub(crate) account: String,
    pub(crate) secret: Zeroizing<String>,
}

/// Enrols a factor. It counts for nothing until it was verified.
pub(crate) async fn enroll(
    auth: &Auth,
    caller: SignedIn,
    enrolment: Enrolment,
    client: &Client,
) -> Result<Enrolled, FactorError> {
    if enrolment.friendly_name.chars().count() > MAX_NAME {
        return Err(FactorError::NameTooLong);
    }
    if !auth.mfa.is_enabled(enrolment.kind) {
        return Err(FactorError::Disabled(enrolment.kind));
    }
    let now = auth.now();
    let (service, operation) = (auth.clone(), client.operation("auth.enroll_factor"));
    let work = async move |tx: &Transaction<'_>| {
        let abandoned = now - service.mfa.mfa_factor_expiry;
        factor::delete_abandoned(tx, caller.user.0, abandoned).await?;
        if let Some(phone) = &enrolment.phone {
            factor::delete_unverified_phone(tx, caller.user.0, phone.as_str()).await?;
        }
        let holder = holder::lock(tx, caller, now).await?;
        require_other_phone(&holder, enrolment.phone.as_ref())?;
        require_room(&holder, &enrolment.friendly_name, service.mfa.mfa_max_enrolled_factors.into())?;
        insert(&service, tx, &holder, &enrolment, now).await
    };
    auth.control.run_tx(&operation, work).await
}

fn require_other_phone(holder: &Holder, phone: Option<&Phone>) -> Result<(), FactorError> {
    let Some(phone) = phone else { return Ok(()) };
    let has = holder.user.factors.iter().any(|factor| factor.phone.as_deref() == Some(phone.as_str()));
    if has { Err(FactorError::PhoneExists) } else { Ok(()) }
}

/// In GoTrue's order.
fn require_room(holder: &Holder, friendly_name: &str, most: usize) -> Result<(), FactorError> {
    let factors = &holder.user.factors;
    if factors.iter().any(|factor| factor.friendly_name.as_deref().unwrap_or_default() == friendly_name) {
        return Err(FactorError::NameTaken(friendly_name.to_owned()));
    }
    if factors.len() >= most {
        return Err(FactorError::TooMany);
    }
    if holder.lacks_factor() { Err(FactorError::EnrollNeedsAal2) } else { Ok(()) }
}

async fn insert(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    enrolment: &Enrolment,
    now: OffsetDateTime,
) -> Result<Enrolled, FactorError> {
    let (id, kind) = (auth.new_id(), enrolment.kind);
    let secret = (kind == FactorType::Totp).then(|| TotpSecret::generate(&*auth.rng).to_base32());
    let sealed = secret.as_ref().map(|secret| sealed::seal(auth, secret.as_bytes(), &factor_label(id)));
    let sealed = sealed.transpose()?;
    let friendly_name = enrolment.friendly_name.as_str();
    let phone = enrolment.phone.as_ref().map(Phone::as_str);
    let new = NewFactor { id, user: holder.user.id, kind, friendly_name, secret: sealed.as_deref(), phone };
    factor::insert(tx, new, now).await?;
    let traits = json!({ "factor_id": id, "factor_type": kind.as_str() });
    audit::write(tx, "factor_in_progress", "factor", holder.user.id, traits).await?;
    let issuer = enrolment.issuer.clone().filter(|issuer| !issuer.is_empty());
    let key = secret.map(|secret| AppKey {
        issuer: issuer.unwrap_or_else(|| host(&auth.site)),
        account: account(holder),
        secret,
    });
    Ok(Enrolled { id, friendly_name: friendly_name.to_owned(), key })
}

fn account(holder: &Holder) -> String {
    let user = &holder.user;
    let named = [&user.email, &user.phone].into_iter().find(|name| !name.is_empty());
    named.map_or_else(|| user.id.to_string(), Clone::clone)
}

/// Removes a factor of the caller; sessions that it has raised are `aal1` again.
pub(crate) async fn unenroll(
    auth: &Auth,
    caller: SignedIn,
    id: Uuid,
    client: &Client,
) -> Result<(), FactorError> {
    let now = auth.now();
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        let found = factor::lock(tx, id, holder.user.id).await?.ok_or(FactorError::NotFound)?;
        if found.is_verified && !holder.is_aal2() {
            return Err(FactorError::UnenrollNeedsAal2);
        }
        remove(tx, holder.user.id, &found, "factor_unenrolled", now).await?;
        Ok(tell_removed(&service, tx, &holder.user, &found, &from).await?)
    };
    auth.control.run_tx(&client.operation("auth.unenroll_factor"), work).await
}

async fn remove(
    tx: &Transaction<'_>,
    user: Uuid,
    found: &FactorRow,
    action: &'static str,
    now: OffsetDateTime,
) -> Result<(), FactorError> {
    factor::delete(tx, found.id).await?;
    assurance::lower(tx, found.id, found.kind.method(), now).await?;
    recovery_code::delete_without_factor(tx, user).await?;
    let traits = json!({ "factor_id": found.id, "factor_type": found.kind.as_str() });
    Ok(audit::write(tx, action, "factor", user, traits).await?)
}

/// Tells the owner, whoever has removed the factor; one that was never verified protected nothing.
async fn tell_removed(
    auth: &Auth,
    tx: &Transaction<'_>,
    owner: &User,
    removed: &FactorRow,
    client: &Client,
) -> Result<(), Fault> {
    if !removed.is_verified {
        return Ok(());
    }
    let what = Notification::FactorUnenrolled { factor_type: removed.kind.as_str() };
    notification::tell(auth, tx, owner, what, client).await
}

/// Removes a factor of any user, for the operator. Returns it.
pub(crate) async fn admin_delete(
    auth: &Auth,
    user: Uuid,
    id: Uuid,
    client: &Client,
) -> Result<Factor, FactorError> {
    let now = auth.now();
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        assurance::lock_user(tx, user).await?;
        let found = factor::lock(tx, id, user).await?.ok_or(FactorError::NotFound)?;
        let shown = shown(tx, user, id).await?;
        let owner = user::find(tx, user).await?.ok_or(FactorError::NotFound)?.user;
        remove(tx, user, &found, "factor_deleted", now).await?;
        tell_removed(&service, tx, &owner, &found, &from).await?;
        Ok(shown)
    };
    auth.control.run_tx(&client.operation("auth.admin_delete_factor"), work).await
}

/// Renames a factor of any user, for the operator. Returns it.
pub(crate) async fn admin_rename(
    auth: &Auth,
    user: Uuid,
    id: Uuid,
    friendly_name: Option<String>,
    client: &Client,
) -> Result<Factor, FactorError> {
    let now = auth.now();
    let friendly_name = friendly_name.filter(|name| !name.is_empty());
    if friendly_name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return Err(FactorError::NameTooLong);
    }
    let work = async move |tx: &Transaction<'_>| {
        factor::lock(tx, id, user).await?.ok_or(FactorError::NotFound)?;
        if let Some(name) = &friendly_name {
            factor::rename(tx, id, name, now).await?;
        }
        audit::write(tx, "factor_updated", "factor", user, json!({ "factor_id": id })).await?;
        shown(tx, user, id).await
    };
    auth.control.run_tx(&client.operation("auth.admin_update_factor"), work).await
}

/// The factor as clients see it.
async fn shown(tx: &Transaction<'_>, user: Uuid, id: Uuid) -> Result<Factor, FactorError> {
    let row = user::find(tx, user).await?.ok_or(FactorError::NotFound)?;
    row.user.factors.into_iter().find(|factor| factor.id == id).ok_or(FactorError::NotFound)
}
