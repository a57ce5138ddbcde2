//! Sign-up with address and password.

use std::sync::Arc;

use rowhouse_db::Transaction;
use serde_json::json;
use time::OffsetDateTime;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::claim;
use crate::flow::new_user::{new_user, new_user_id, tell_created};
use crate::flow::one_time::Return;
use crate::flow::phone_code::CodeError;
use crate::flow::session::{self, Grant};
use crate::flow::signup_letter;
use crate::hook::Hook;
use crate::letter_limit::{LetterKind, TooManyLetters};
use crate::metadata::{self, MetadataError};
use crate::method::Method;
use crate::model::{Object, Session, User};
use crate::policy::{self, EmailError, Password, PasswordError};
use crate::request::Client;
use crate::store::phone_user;
use crate::store::user_change::{self, WriteError};
use crate::store::user_creation::{self, NewUser};

/// Why a sign-up is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignUpError {
    /// New accounts are refused by configuration.
    #[error("Signups not allowed for this instance")]
    Disabled,
    /// Address or number is taken, where they are confirmed at once.
    #[error("User already registered")]
    UserExists,
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Letters(#[from] TooManyLetters),
    #[error(transparent)]
    Code(#[from] CodeError),
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
    pub(crate) back: Return,
}

/// The result of a sign-up.
#[derive(Debug)]
pub(crate) enum SignedUp {
    /// Addresses are confirmed at once: signed in.
    Session(Box<Session>),
    /// The address has to be confirmed.
    Unconfirmed(Box<User>),
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
    let is_confirmed = auth.settings.mailer_autoconfirm;
    if !is_confirmed {
        auth.letters.require_way()?;
        auth.letter_limit.check(LetterKind::Confirmation, &email, client).await?;
    }
    let encrypted_password = match is_confirmed {
        true => Some(auth.hasher.hash(request.password).await?),
        false => claim::hash(auth, (&email, ""), request.password, client).await?,
    };
    let new = new_user(new_user_id(auth), email, data, is_confirmed);
    let identity_data = new.user_metadata.clone();
    let new = Arc::new(NewUser { encrypted_password, identity_data, ..new });
    announce(auth, &new, client).await?;
    match is_confirmed {
        true => sign_in(auth, new, client).await.map(|session| SignedUp::Session(Box::new(session))),
        false => {
            let write = write_letter(auth, new, request.back, client);
            let user = auth.letter_pace.keep(write, Result::is_ok).await?;
            Ok(SignedUp::Unconfirmed(Box::new(user)))
        }
    }
}

/// Asks the project's hook. Where addresses are confirmed by mail it is asked for addresses that have an account, too: its
/// refusal would tell them apart.
pub(crate) async fn announce(auth: &Auth, new: &NewUser, client: &Client) -> Result<(), Fault> {
    let event = json!({ "user": signup_letter::shown(auth, new.id, new, auth.now()) });
    auth.hooks.call(Hook::BeforeUserCreated, event, client).await.map(drop)
}

/// Creates a confirmed user with a session.
pub(super) async fn sign_in(auth: &Auth, new: Arc<NewUser>, client: &Client) -> Result<Session, SignUpError> {
    let now = auth.now();
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| create(&service, tx, &new, &from, now).await;
    match auth.control.run_tx(&client.operation("auth.sign_up"), work).await {
        Ok(grant) => Ok(grant.sign(auth, client, now).await?),
        Err(SignUpError::Write(WriteError::EmailTaken | WriteError::PhoneTaken)) => {
            Err(SignUpError::UserExists)
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
) -> Result<Grant, SignUpError> {
    match new.email.is_empty() {
        true => phone_user::require_free(tx, &new.phone, new.id).await?,
        false => user_change::require_free(tx, &new.email, new.id).await?,
    }
    user_creation::insert(tx, new, auth.new_id(), now).await?;
    user_change::note_sign_in_time(tx, new.id, now).await?;
    tell_created(auth, tx, new.id, client).await?;
    let grant = session::open(auth, tx, new.id, Method::Password.into(), client, now).await?;
    Ok(grant.ok_or(Fault::Vanished)?)
}

/// Writes the letter that the address's owner gets. The second of two sign-ups at once finds the user of the first.
pub(crate) async fn write_letter(
    auth: &Auth,
    new: Arc<NewUser>,
    back: Return,
    client: &Client,
) -> Result<User, SignUpError> {
    let write = async || {
        let (service, new, back, from) = (auth.clone(), Arc::clone(&new), back.clone(), client.clone());
        let work = async move |tx: &Transaction<'_>| {
            Ok(signup_letter::sign_up(&service, tx, &new, &back, &from).await?)
        };
        auth.control.run_tx(&client.operation("auth.sign_up"), work).await
    };
    let id = match write().await {
        Err(SignUpError::Write(WriteError::EmailTaken)) => write().await?,
        written => written?,
    };
    Ok(signup_letter::shown(auth, id, &new, auth.now()))
}
