//! Letters that somebody asks for by address: to sign in, to choose a new password, once more. Whether the address is
//! known is told to its owner alone, where addresses are confirmed by mail.

use std::sync::Arc;

use rowhouse_db::Transaction;

use crate::Auth;
use crate::fault::{Fault, HookError, carry_fault};
use crate::flow::claim;
use crate::flow::email_change;
use crate::flow::new_user::{new_user, new_user_id, tell_created};
use crate::flow::one_time::{self, Return};
use crate::flow::signup::announce;
use crate::flow::signup_letter;
use crate::hook::Hook;
use crate::letter_limit::{LetterKind, TooManyLetters};
use crate::metadata::{self, MetadataError};
use crate::model::{Object, User};
use crate::one_time::{Purpose, Sent, TokenType};
use crate::policy::{self, EmailError};
use crate::request::Client;
use crate::store::user;
use crate::store::user_change::WriteError;
use crate::store::user_creation::{self, NewUser};

/// Why no letter is written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LetterError {
    /// New accounts are refused by configuration.
    #[error("Signups not allowed for this instance")]
    SignUpDisabled,
    /// The address is unknown, and no account was to be made.
    #[error("Signups not allowed for otp")]
    NoAccount,
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Letters(#[from] TooManyLetters),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(LetterError);

/// A request for a letter to an address.
#[derive(Debug)]
pub(crate) struct LetterRequest {
    pub(crate) email: String,
    pub(crate) back: Return,
}

/// What to do about an address without an account.
#[derive(Debug)]
pub(crate) struct NewAccount {
    /// Whether to make one.
    pub(crate) wanted: bool,
    /// Its user metadata.
    pub(crate) data: Object,
}

/// Whether a letter was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Letter,
    Nothing,
}

/// A letter to sign in with; confirms an account that is not confirmed, or a new one.
pub(crate) async fn sign_in(
    auth: &Auth,
    request: LetterRequest,
    account: NewAccount,
    client: &Client,
) -> Result<(), LetterError> {
    let email = policy::email(&request.email)?;
    let data = metadata::user(0, account.data)?;
    auth.letters.require_way()?;
    auth.letter_limit.check(LetterKind::Recovery, &email, client).await?;
    let is_confirmed = auth.settings.mailer_autoconfirm;
    let new = Arc::new(new_user(new_user_id(auth), email, data, is_confirmed));
    let wanted = account.wanted;
    let attempt = async || {
        let (service, new, back, from) =
            (auth.clone(), Arc::clone(&new), request.back.clone(), client.clone());
        let work =
            async move |tx: &Transaction<'_>| write_sign_in(&service, tx, &new, wanted, &back, &from).await;
        auth.control.run_tx(&client.operation("auth.send_magic_link"), work).await
    };
    let write = async {
        if wanted && !allows_account(auth, &new, client).await? {
            return Ok(Written::Nothing);
        }
        match attempt().await {
            // The second of two requests at once finds the user of the first.
            Err(LetterError::Write(WriteError::EmailTaken)) => attempt().await,
            written => written,
        }
    };
    keep_pace(auth, write).await
}

/// Whether the project's hook lets an account be made for an unknown address. Where addresses are confirmed by mail, its
/// refusal is not told: it would tell that the address is unknown.
async fn allows_account(auth: &Auth, new: &NewUser, client: &Client) -> Result<bool, LetterError> {
    if !auth.hooks.has(Hook::BeforeUserCreated) {
        return Ok(true);
    }
    let email = new.email.clone();
    let find = async move |db: &tokio_postgres::Client| user::find_by_email(db, &email).await;
    let operation = client.operation("auth.find_by_email");
    if auth.control.statement(&operation, find).await.map_err(|fault: Fault| fault)?.is_some() {
        return Ok(true);
    }
    match announce(auth, new, client).await {
        Err(Fault::Hook(HookError::Refused { .. })) if !auth.settings.mailer_autoconfirm => Ok(false),
        answer => Ok(answer.map(|()| true)?),
    }
}

async fn write_sign_in(
    auth: &Auth,
    tx: &Transaction<'_>,
    new: &NewUser,
    wanted: bool,
    back: &Return,
    client: &Client,
) -> Result<Written, LetterError> {
    let user = match user::find_by_email(tx, &new.email).await? {
        Some(row) => lock(tx, row.user).await?,
        None => match refuse_account(auth, wanted, &new.email) {
            None => {
                user_creation::insert(tx, new, signup_letter::identity_id(auth, new.id), auth.now()).await?;
                tell_created(auth, tx, new.id, client).await?;
                user::find(tx, new.id).await?.ok_or(Fault::Vanished)?.user
            }
            // Refusing would tell that the address is unknown.
            Some(_) if !auth.settings.mailer_autoconfirm => return Ok(Written::Nothing),
            Some(error) => return Err(error),
        },
    };
    let sent = match user.is_confirmed() {
        true => Sent { token_type: TokenType::Recovery, purpose: Purpose::MagicLink },
        false => {
            Sent { token_type: TokenType::Confirmation, purpose: first_purpose(&user, Purpose::MagicLink) }
        }
    };
    claim::drop_password(auth, tx, &user).await?;
    one_time::send(auth, tx, &user, sent, back, client).await?;
    Ok(Written::Letter)
}

/// Why no account is made for an unknown address.
fn refuse_account(auth: &Auth, wanted: bool, email: &str) -> Option<LetterError> {
    match (wanted, auth.settings.disable_signup) {
        (false, _) => Some(LetterError::NoAccount),
        (true, true) => Some(LetterError::SignUpDisabled),
        (true, false) => policy::chosen_email(email, &auth.settings).err().map(LetterError::Email),
    }
}

/// Somebody who was invited is invited again, whoever asks.
fn first_purpose(user: &User, asked: Purpose) -> Purpose {
    if claim::is_own(user) { asked } else { Purpose::Invite }
}

/// A letter to choose a new password with.
pub(crate) async fn recover(auth: &Auth, request: LetterRequest, client: &Client) -> Result<(), LetterError> {
    let choose = |_: &User| Some(Sent { token_type: TokenType::Recovery, purpose: Purpose::Recovery });
    let (kind, name) = (LetterKind::Recovery, "auth.send_recovery");
    to_account(auth, request, kind, name, choose, client).await
}

/// The letter of a sign-up once more, if the account waits for its confirmation.
pub(crate) async fn resend_confirmation(
    auth: &Auth,
    request: LetterRequest,
    client: &Client,
) -> Result<(), LetterError> {
    let choose = |user: &User| {
        let purpose = first_purpose(user, Purpose::SignUp);
        (!user.is_confirmed()).then_some(Sent { token_type: TokenType::Confirmation, purpose })
    };
    let (kind, name) = (LetterKind::Confirmation, "auth.resend_confirmation");
    to_account(auth, request, kind, name, choose, client).await
}

/// The letters of a pending change of the address once more.
pub(crate) async fn resend_email_change(
    auth: &Auth,
    request: LetterRequest,
    client: &Client,
) -> Result<(), LetterError> {
    let email = policy::email(&request.email)?;
    auth.letters.require_way()?;
    auth.letter_limit.check(LetterKind::EmailChange, &email, client).await?;
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let Some(row) = user::find_by_email(tx, &email).await? else { return Ok(Written::Nothing) };
        let user = lock(tx, row.user).await?;
        if user.new_email.is_empty() {
            return Ok(Written::Nothing);
        }
        email_change::resend(&service, tx, &user, &request.back.redirect_to, &from).await?;
        Ok(Written::Letter)
    };
    keep_pace(auth, auth.control.run_tx(&client.operation("auth.resend_email_change"), work)).await
}

/// Writes what `choose` says to an address's account.
async fn to_account(
    auth: &Auth,
    request: LetterRequest,
    kind: LetterKind,
    name: &'static str,
    choose: fn(&User) -> Option<Sent>,
    client: &Client,
) -> Result<(), LetterError> {
    let email = policy::email(&request.email)?;
    auth.letters.require_way()?;
    auth.letter_limit.check(kind, &email, client).await?;
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let Some(row) = user::find_by_email(tx, &email).await? else { return Ok(Written::Nothing) };
        let user = lock(tx, row.user).await?;
        let Some(sent) = choose(&user) else { return Ok(Written::Nothing) };
        one_time::send(&service, tx, &user, sent, &request.back, &from).await?;
        Ok(Written::Letter)
    };
    keep_pace(auth, auth.control.run_tx(&client.operation(name), work)).await
}

async fn lock(tx: &Transaction<'_>, user: User) -> Result<User, Fault> {
    Ok(user::lock(tx, user.id).await?.ok_or(Fault::Vanished)?.user)
}

async fn keep_pace(
    auth: &Auth,
    write: impl Future<Output = Result<Written, LetterError>>,
) -> Result<(), LetterError> {
    let is_written = |written: &Result<Written, LetterError>| matches!(written, Ok(Written::Letter));
    auth.letter_pace.keep(write, is_written).await.map(|_| ())
}
