//! Proof that the user of an old session still owns the account's address or number: a code by mail or message, which a new password needs with
//! `auth.secure_password_change`.

use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use time::Duration;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::one_time::{self, Return};
use crate::flow::phone_code::{self, CodeError, Text};
use crate::letter_limit::{LetterKind, TooManyLetters};
use crate::live::{NotLive, require_live};
use crate::model::User;
use crate::one_time::{Sent, TokenType};
use crate::phone::Channel;
use crate::request::{Client, SignedIn};
use crate::sms_limit::SmsKind;
use crate::store::{session, user};

/// Sessions up to this age need no proof, as with GoTrue.
const FRESH: Duration = Duration::hours(24);

/// The tokens in question.
const TYPES: &[&str] = &[TokenType::Reauthentication.as_str()];

/// Why no letter is written, or a password is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReauthenticationError {
    #[error(transparent)]
    NotLive(#[from] NotLive),
    #[error("Reauthentication requires the user to have an email or a phone number")]
    NoAddress,
    #[error("Please verify your email first.")]
    NotConfirmed,
    #[error("Please verify your phone first.")]
    PhoneNotConfirmed,
    #[error(transparent)]
    Letters(#[from] TooManyLetters),
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The session is old and no code was sent along.
    #[error("Password update requires reauthentication")]
    Needed,
    #[error("Nonce has expired or is invalid")]
    NotValid,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(ReauthenticationError);

/// Writes a letter with a code to the user's own address, or a message to the number of a user without one. Returns the
/// provider's id of a message.
pub(crate) async fn send(
    auth: &Auth,
    caller: SignedIn,
    back: Return,
    client: &Client,
) -> Result<Option<String>, ReauthenticationError> {
    let session = caller.session.map(|session| session.0);
    let find = async move |db: &tokio_postgres::Client| user::find_live(db, caller.user.0, session).await;
    let live = auth
        .control
        .statement(&client.operation("auth.get_user"), find)
        .await
        .map_err(|fault: Fault| fault)?;
    let user = require_live(live, caller, auth.now())?.user;
    if user.email.is_empty() {
        return send_message(auth, user, client).await;
    }
    if user.email_confirmed_at.is_none() {
        return Err(ReauthenticationError::NotConfirmed);
    }
    auth.letter_limit.check(LetterKind::Reauthentication, &user.email, client).await?;
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let user = user::lock(tx, user.id).await?.ok_or(NotLive::UserNotFound)?.user;
        Ok(one_time::send(&service, tx, &user, Sent::REAUTHENTICATION, &back, &from).await?)
    };
    auth.control
        .run_tx::<_, ReauthenticationError>(&client.operation("auth.reauthenticate"), work)
        .await
        .map(|()| None)
}

async fn send_message(
    auth: &Auth,
    user: User,
    client: &Client,
) -> Result<Option<String>, ReauthenticationError> {
    if user.phone.is_empty() {
        return Err(ReauthenticationError::NoAddress);
    }
    if user.phone_confirmed_at.is_none() {
        return Err(ReauthenticationError::PhoneNotConfirmed);
    }
    let kind = SmsKind::Reauthentication;
    auth.sms.limit.check(kind, &user.phone, client).await.map_err(CodeError::from)?;
    let text = Text { user: &user, phone: &user.phone, kind, channel: Channel::Sms };
    let sent = phone_code::send(auth, text, client).await?;
    let (service, code) = (auth.clone(), sent.code);
    let work = async move |tx: &Transaction<'_>| {
        let user = user::lock(tx, user.id).await?.ok_or(NotLive::UserNotFound)?.user;
        let about = (Sent::REAUTHENTICATION, user.phone.as_str());
        Ok(phone_code::put(&service, tx, user.id, about, &code).await?)
    };
    let operation = client.operation("auth.reauthenticate");
    auth.control.run_tx::<_, ReauthenticationError>(&operation, work).await?;
    Ok(sent.message_id)
}

/// The right code of a session that needed one; used up in the transaction of the change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nonce {
    pub(crate) token: Uuid,
}

/// Refuses a change of the password from an old session without the right code. The attempt is counted.
pub(crate) async fn require(
    auth: &Auth,
    caller: SignedIn,
    user: &User,
    nonce: Option<Secret>,
    client: &Client,
) -> Result<Option<Nonce>, ReauthenticationError> {
    if !auth.settings.secure_password_change {
        return Ok(None);
    }
    let session = caller.session.map(|session| session.0).unwrap_or_default();
    let find = async move |db: &tokio_postgres::Client| session::find_start(db, session, caller.user.0).await;
    let start = auth.control.statement(&client.operation("auth.find_session"), find).await;
    let start = start.map_err(|fault: Fault| fault)?;
    if start.is_some_and(|start| auth.now() - start <= FRESH) {
        return Ok(None);
    }
    let nonce = nonce.ok_or(ReauthenticationError::Needed)?;
    let address = if user.email.is_empty() { &user.phone } else { &user.email };
    let (service, address) = (auth.clone(), address.to_ascii_lowercase());
    let work = async move |tx: &Transaction<'_>| {
        one_time::find_by_code(&service, tx, &address, nonce.expose(), TYPES).await
    };
    let found = auth.control.run_tx(&client.operation("auth.check_nonce"), work).await;
    let found = found.map_err(|fault: Fault| fault)?.filter(|found| found.token.user == caller.user.0);
    found.map(|found| Some(Nonce { token: found.token.id })).ok_or(ReauthenticationError::NotValid)
}
