//! Codes that somebody asks for by number: to sign in, or once more. Whether the number is known is told to its owner alone,
//! where numbers are confirmed: either the message goes out in every case, or the answer comes before anything is looked up.

use std::sync::Arc;

use rowhouse_db::Transaction;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, HookError, carry_fault};
use crate::flow::claim;
use crate::flow::letter_request::NewAccount;
use crate::flow::new_user::{new_phone_user, new_phone_user_id, tell_created};
use crate::flow::phone_code::{self, CodeError, SentCode, Text};
use crate::flow::signup::announce;
use crate::flow::signup_letter;
use crate::hook::Hook;
use crate::metadata::{self, MetadataError};
use crate::model::User;
use crate::one_time::{Purpose, Sent, TokenType};
use crate::phone::{Channel, Phone};
use crate::request::Client;
use crate::sms_limit::SmsKind;
use crate::store::user;
use crate::store::user_change::WriteError;
use crate::store::user_creation::{self, NewUser};

/// A code for signing in, or for a number that waits for its confirmation.
pub(super) const SIGN_IN: Sent =
    Sent { token_type: TokenType::PhoneConfirmation, purpose: Purpose::MagicLink };

/// Why no code is sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PhoneRequestError {
    /// New accounts are refused by configuration.
    #[error("Signups not allowed for this instance")]
    SignUpDisabled,
    /// The number is unknown, and no account was to be made.
    #[error("Signups not allowed for otp")]
    NoAccount,
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(PhoneRequestError);

/// A request for a code.
#[derive(Debug, Clone)]
pub(crate) struct PhoneRequest {
    pub(crate) phone: Phone,
    pub(crate) channel: Channel,
}

/// What to resend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The code that confirms a number.
    Confirmation,
    /// The code of a pending change of it.
    Change,
}

#[derive(Debug)]
struct SignIn {
    auth: Auth,
    new: NewUser,
    /// Whether an unknown number gets an account.
    wanted: bool,
    channel: Channel,
    client: Client,
}

/// A code to sign in with; confirms a number that is not confirmed, or a new account. Returns the provider's id of the
/// message.
pub(crate) async fn sign_in(
    auth: &Auth,
    request: PhoneRequest,
    account: NewAccount,
    client: &Client,
) -> Result<Option<String>, PhoneRequestError> {
    let data = metadata::user(0, account.data)?;
    let phone = &request.phone;
    auth.sms.limit.check(SmsKind::Confirmation, phone.as_str(), client).await.map_err(CodeError::from)?;
    let new = new_phone_user(new_phone_user_id(auth), phone, data, auth.sms.settings.autoconfirm);
    let (channel, wanted) = (request.channel, account.wanted);
    let work = Arc::new(SignIn { auth: auth.clone(), new, wanted, channel, client: client.clone() });
    if work.may_send_nothing() {
        auth.sms.detach(async move { note(work.run().await) })?;
        return Ok(None);
    }
    auth.sms.pace.keep(work.run(), Result::is_ok).await
}

impl SignIn {
    /// Whether an unknown number may get no message, which must not show.
    fn may_send_nothing(&self) -> bool {
        let settings = &self.auth.settings;
        let may_refuse =
            !self.wanted || settings.disable_signup || self.auth.hooks.has(Hook::BeforeUserCreated);
        may_refuse && !self.auth.sms.settings.autoconfirm
    }

    async fn run(self: Arc<Self>) -> Result<Option<String>, PhoneRequestError> {
        let (auth, client) = (&self.auth, &self.client);
        let user = match find(auth, &self.new.phone, client).await? {
            Some(user) => user,
            None => {
                self.require_account()?;
                announce(auth, &self.new, client).await?;
                signup_letter::shown(auth, self.new.id, &self.new, auth.now())
            }
        };
        let text =
            Text { user: &user, phone: &self.new.phone, kind: SmsKind::Confirmation, channel: self.channel };
        let sent = phone_code::send(auth, text, client).await?;
        match self.store(sent.clone()).await {
            // The second of two requests at once finds the user of the first.
            Err(PhoneRequestError::Write(WriteError::PhoneTaken)) => self.store(sent.clone()).await?,
            stored => stored?,
        }
        Ok(sent.message_id)
    }

    /// Refuses to make an account for an unknown number.
    fn require_account(&self) -> Result<(), PhoneRequestError> {
        match (self.wanted, self.auth.settings.disable_signup) {
            (false, _) => Err(PhoneRequestError::NoAccount),
            (true, true) => Err(PhoneRequestError::SignUpDisabled),
            (true, false) => Ok(()),
        }
    }

    async fn store(self: &Arc<Self>, sent: SentCode) -> Result<(), PhoneRequestError> {
        let request = Arc::clone(self);
        let work = async move |tx: &Transaction<'_>| request.write(tx, &sent).await;
        self.auth.control.run_tx(&self.client.operation("auth.send_phone_code"), work).await
    }

    async fn write(&self, tx: &Transaction<'_>, sent: &SentCode) -> Result<(), PhoneRequestError> {
        let (auth, new) = (&self.auth, &self.new);
        let user = match user::find_by_phone(tx, &new.phone).await? {
            Some(row) => {
                let user = user::lock(tx, row.user.id).await?.ok_or(Fault::Vanished)?.user;
                claim::drop_password(auth, tx, &user).await?;
                user.id
            }
            None => {
                self.require_account()?;
                user_creation::insert(tx, new, signup_letter::identity_id(auth, new.id), auth.now()).await?;
                tell_created(auth, tx, new.id, &self.client).await?;
                new.id
            }
        };
        Ok(phone_code::put(auth, tx, user, (SIGN_IN, &new.phone), &sent.code).await?)
    }
}

/// The account with a number.
pub(super) async fn find(auth: &Auth, phone: &str, client: &Client) -> Result<Option<User>, Fault> {
    let phone = phone.to_owned();
    let find = async move |db: &tokio_postgres::Client| user::find_by_phone(db, &phone).await;
    let row = auth.control.statement(&client.operation("auth.find_by_phone"), find).await?;
    Ok(row.map(|row| row.user))
}

/// Logs what went wrong after the answer. That there is no account, or that the project's hook wants none, is not wrong.
fn note(result: Result<Option<String>, PhoneRequestError>) {
    use PhoneRequestError as E;
    match result {
        Ok(_) | Err(E::NoAccount | E::SignUpDisabled | E::Fault(Fault::Hook(HookError::Refused { .. }))) => {}
        // Logged where it happened; what a number's own limit drops is not: anybody could fill the log with it.
        Err(E::Code(CodeError::NotSent(_) | CodeError::TooMany(_))) => {}
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "a code for a phone could not be sent");
        }
    }
}

/// A code once more, if the account that has the number waits for one. Done after the answer.
pub(crate) async fn resend(
    auth: &Auth,
    again: Again,
    phone: Phone,
    client: &Client,
) -> Result<(), PhoneRequestError> {
    let kind = match again {
        Again::Confirmation => SmsKind::Confirmation,
        Again::Change => SmsKind::PhoneChange,
    };
    auth.sms.limit.check(kind, phone.as_str(), client).await.map_err(CodeError::from)?;
    let (service, from) = (auth.clone(), client.clone());
    Ok(auth.sms.detach(async move { note(send_again(&service, again, &phone, &from).await) })?)
}

async fn send_again(
    auth: &Auth,
    again: Again,
    phone: &Phone,
    client: &Client,
) -> Result<Option<String>, PhoneRequestError> {
    let Some(user) = find(auth, phone.as_str(), client).await? else { return Ok(None) };
    let (kind, to) = match again {
        Again::Confirmation if user.phone_confirmed_at.is_some() => return Ok(None),
        Again::Change if user.new_phone.is_empty() => return Ok(None),
        Again::Confirmation => (SmsKind::Confirmation, user.phone.clone()),
        Again::Change => (SmsKind::PhoneChange, user.new_phone.clone()),
    };
    if again == Again::Change {
        auth.sms.limit.check_number(kind, &to).await.map_err(CodeError::from)?;
    }
    let text = Text { user: &user, phone: &to, kind, channel: Channel::Sms };
    let sent = phone_code::send(auth, text, client).await?;
    let (service, id) = (auth.clone(), user.id);
    let work = async move |tx: &Transaction<'_>| write_again(&service, tx, (id, again), (&to, &sent)).await;
    auth.control.run_tx::<_, Fault>(&client.operation("auth.resend_phone_code"), work).await?;
    Ok(None)
}

/// Stores a code that was sent again, if the account still waits for it.
async fn write_again(
    auth: &Auth,
    tx: &Transaction<'_>,
    (id, again): (Uuid, Again),
    (to, sent): (&str, &SentCode),
) -> Result<(), Fault> {
    let Some(user) = user::lock(tx, id).await?.map(|row| row.user) else { return Ok(()) };
    let (token, number) = match again {
        Again::Confirmation => (first(&user), &user.phone),
        Again::Change => (Sent::PHONE_CHANGE, &user.new_phone),
    };
    if number != to {
        return Ok(());
    }
    phone_code::put(auth, tx, id, (token, to), &sent.code).await
}

/// The code of a sign-up stays one, so that the password of whoever signed up survives its confirmation.
fn first(user: &User) -> Sent {
    let purpose = if claim::is_own(user) { Purpose::SignUp } else { Purpose::MagicLink };
    Sent { purpose, ..SIGN_IN }
}
