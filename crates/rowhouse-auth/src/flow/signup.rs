//! Sign-up with address and password.

use std::sync::Arc;

use rowhouse_db::Transaction;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::session::{self, Grant};
use crate::hook::Hook;
use crate::metadata::{self, MetadataError};
use crate::method::Method;
use crate::model::{Object, Session, User};
use crate::policy::{self, EmailError, Password, PasswordError};
use crate::request::Client;
use crate::store::user::{self, NewUser, WriteError};

/// Why a sign-up is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignUpError {
    /// New accounts are refused by configuration.
    #[error("Signups not allowed for this instance")]
    Disabled,
    /// The address is taken, where addresses are confirmed at once.
    #[error("User already registered")]
    UserExists,
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(SignUpError);

/// The data of a sign-up.
#[derive(Debug)]
pub(crate) struct SignUp {
    pub(crate) email: String,
    pub(crate) password: Password,
    /// Becomes user metadata.
    pub(crate) data: Object,
}

/// The result of a sign-up.
#[derive(Debug)]
pub(crate) enum SignedUp {
    /// Addresses are confirmed at once: signed in.
    Session(Box<Session>),
    /// The address has to be confirmed; if it was taken, the user is a fabricated one.
    Unconfirmed(Box<User>),
}

enum Created {
    SignedIn(Grant),
    Unconfirmed(User),
}

/// Creates user, profile, personal organization, tenant and, where addresses are confirmed at once, a session: all in
/// one transaction. The password is hashed first, so that an address that is taken takes as long as a free one.
pub(crate) async fn sign_up(auth: &Auth, request: SignUp, client: &Client) -> Result<SignedUp, SignUpError> {
    if auth.settings.disable_signup {
        return Err(SignUpError::Disabled);
    }
    let email = policy::chosen_email(&request.email, &auth.settings)?;
    request.password.require_safe(&auth.settings, &auth.breaches).await?;
    let data = metadata::user(0, request.data)?;
    let encrypted_password = Some(auth.hasher.hash(request.password).await?);
    let now = auth.now();
    let is_confirmed = auth.settings.mailer_autoconfirm;
    let new =
        NewUser { encrypted_password, is_confirmed, ..new_user(auth.new_id(), email, data, is_confirmed) };
    let announced = json!({ "user": invented(new.id, &new, now) });
    auth.hooks.call(Hook::BeforeUserCreated, announced, client).await?;
    let new = Arc::new(new);
    let operation = client.operation("auth.sign_up");
    let (service, asked, from) = (auth.clone(), Arc::clone(&new), client.clone());
    let work = async move |tx: &Transaction<'_>| create(&service, tx, &asked, &from, now).await;
    match auth.control.run_tx(&operation, work).await {
        Ok(Created::SignedIn(grant)) => Ok(SignedUp::Session(Box::new(grant.sign(auth, client, now).await?))),
        Ok(Created::Unconfirmed(user)) => Ok(SignedUp::Unconfirmed(Box::new(user))),
        Err(SignUpError::Write(WriteError::EmailTaken)) if is_confirmed => Err(SignUpError::UserExists),
        Err(SignUpError::Write(WriteError::EmailTaken)) => {
            Ok(SignedUp::Unconfirmed(Box::new(invented(auth.new_id(), &new, now))))
        }
        Err(error) => Err(error),
    }
}

async fn create(
    auth: &Auth,
    tx: &Transaction<'_>,
    new: &NewUser,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Created, SignUpError> {
    user::require_free(tx, &new.email, new.id).await?;
    user::insert(tx, new, auth.new_id(), now).await?;
    if new.is_confirmed {
        user::note_first_sign_in(tx, new.id, now).await?;
        let grant = session::open(auth, tx, new.id, Method::Password.into(), client, now)
            .await?
            .ok_or(Fault::Vanished)?;
        return Ok(Created::SignedIn(grant));
    }
    let row = user::find(tx, new.id).await?.ok_or(Fault::Vanished)?;
    Ok(Created::Unconfirmed(row.user))
}

/// A user of the provider `email`. As in GoTrue, the platform's own entries in the metadata override what the user
/// has sent.
pub(crate) fn new_user(id: Uuid, email: String, data: Object, is_confirmed: bool) -> NewUser {
    let mut user_metadata = data;
    let known = [
        ("sub", json!(id)),
        ("email", json!(email)),
        ("email_verified", json!(is_confirmed)),
        ("phone_verified", json!(false)),
    ];
    user_metadata.extend(known.map(|(name, value)| (name.to_owned(), value)));
    NewUser {
        id,
        email,
        role: rowhouse_kernel::AUTHENTICATED.to_owned(),
        encrypted_password: None,
        is_confirmed,
        app_metadata: app_metadata(),
        user_metadata,
        banned_until: None,
    }
}

fn app_metadata() -> Object {
    [("provider", json!("email")), ("providers", json!(["email"]))]
        .map(|(k, v)| (k.to_owned(), v))
        .into_iter()
        .collect()
}

/// The fabricated user returned for an address that is taken, so that the answer does not reveal it; only the list of
/// identities is empty, which clients of GoTrue check.
pub(crate) fn invented(id: Uuid, asked: &NewUser, now: OffsetDateTime) -> User {
    // The times of real users come from the database, in microseconds.
    let now = now.replace_nanosecond(now.microsecond() * 1000).unwrap_or(now);
    let mut user_metadata = asked.user_metadata.clone();
    user_metadata.insert("sub".to_owned(), Value::String(id.to_string()));
    User {
        id,
        aud: rowhouse_kernel::AUTHENTICATED.to_owned(),
        role: asked.role.clone(),
        email: asked.email.clone(),
        email_confirmed_at: None,
        invited_at: None,
        phone: String::new(),
        phone_confirmed_at: None,
        confirmation_sent_at: None,
        confirmed_at: None,
        recovery_sent_at: None,
        new_email: String::new(),
        email_change_sent_at: None,
        new_phone: String::new(),
        phone_change_sent_at: None,
        reauthentication_sent_at: None,
        last_sign_in_at: None,
        app_metadata: app_metadata(),
        user_metadata,
        factors: Vec::new(),
        identities: Vec::new(),
        created_at: now,
        updated_at: now,
        banned_until: None,
        deleted_at: None,
        is_anonymous: false,
    }
}
