//! Sign-up with number and password. Where numbers are confirmed, a message goes to the number in every case, and the answer
//! is made of the request: whether the number has an account is told to its owner alone, who gets a code to sign in with.

use std::sync::Arc;

use rowhouse_db::Transaction;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::claim;
use crate::flow::new_user::{PHONE, new_phone_user, new_phone_user_id, tell_created};
use crate::flow::one_time::Found;
use crate::flow::phone_code::{self, CodeError, SentCode, Text};
use crate::flow::phone_request::{SIGN_IN, find};
use crate::flow::signup::{self, SignUpError, SignedUp, announce};
use crate::flow::signup_letter;
use crate::metadata;
use crate::model::{Object, User};
use crate::one_time::{Purpose, Sent, VerifyType};
use crate::phone::{Channel, Phone};
use crate::policy::Password;
use crate::request::Client;
use crate::sms_limit::SmsKind;
use crate::store::user;
use crate::store::user_change::WriteError;
use crate::store::user_creation::{self, NewUser};
use crate::store::{letter_user, one_time_token, phone_user};

/// The data of a sign-up.
#[derive(Debug)]
pub(crate) struct PhoneSignUp {
    pub(crate) phone: Phone,
    pub(crate) password: Password,
    /// Becomes user metadata.
    pub(crate) data: Object,
    pub(crate) channel: Channel,
}

/// Creates the account, confirmed and with a session where numbers are confirmed at once. The password is hashed first, so
/// that a number that is taken takes as long as a free one.
pub(crate) async fn sign_up(
    auth: &Auth,
    request: PhoneSignUp,
    client: &Client,
) -> Result<SignedUp, SignUpError> {
    if auth.settings.disable_signup {
        return Err(SignUpError::Disabled);
    }
    request.password.require_safe(&auth.settings, &auth.breaches).await?;
    let data = metadata::user(0, request.data)?;
    let is_confirmed = auth.sms.settings.autoconfirm;
    if !is_confirmed {
        let phone = request.phone.as_str();
        auth.sms.limit.check(SmsKind::Confirmation, phone, client).await.map_err(CodeError::from)?;
    }
    let encrypted_password = match is_confirmed {
        true => Some(auth.hasher.hash(request.password).await?),
        false => claim::hash(auth, ("", request.phone.as_str()), request.password, client).await?,
    };
    let new = new_phone_user(new_phone_user_id(auth), &request.phone, data, is_confirmed);
    let identity_data = new.user_metadata.clone();
    let new = Arc::new(NewUser { encrypted_password, identity_data, ..new });
    announce(auth, &new, client).await?;
    if is_confirmed {
        let session = signup::sign_in(auth, new, client).await?;
        return Ok(SignedUp::Session(Box::new(session)));
    }
    let send = send_code(auth, new, request.channel, client);
    let user = auth.sms.pace.keep(send, Result::is_ok).await?;
    Ok(SignedUp::Unconfirmed(Box::new(user)))
}

/// Sends the code and stores it with the account. The second of two sign-ups at once finds the user of the first.
async fn send_code(
    auth: &Auth,
    new: Arc<NewUser>,
    channel: Channel,
    client: &Client,
) -> Result<User, SignUpError> {
    let found = find(auth, &new.phone, client).await?;
    let user = found.unwrap_or_else(|| signup_letter::shown(auth, new.id, &new, auth.now()));
    let text = Text { user: &user, phone: &new.phone, kind: SmsKind::Confirmation, channel };
    let sent = Arc::new(phone_code::send(auth, text, client).await?);
    let store = async || {
        let (service, new, sent, from) = (auth.clone(), Arc::clone(&new), Arc::clone(&sent), client.clone());
        let work = async move |tx: &Transaction<'_>| Ok(write(&service, tx, (&new, &sent), &from).await?);
        auth.control.run_tx(&client.operation("auth.sign_up"), work).await
    };
    let id = match store().await {
        Err(SignUpError::Write(WriteError::PhoneTaken)) => store().await?,
        stored => stored?,
    };
    Ok(signup_letter::shown(auth, id, &new, auth.now()))
}

/// What a sign-up does to the number's account. Returns the user's id for the answer. An account with a confirmed number, or
/// one that somebody else has made, keeps what it has: its owner gets a code for signing in.
async fn write(
    auth: &Auth,
    tx: &Transaction<'_>,
    (new, sent): (&NewUser, &SentCode),
    client: &Client,
) -> Result<Uuid, WriteError> {
    let first = Sent { purpose: Purpose::SignUp, ..SIGN_IN };
    let Some(row) = user::find_by_phone(tx, &new.phone).await? else {
        user_creation::insert(tx, new, signup_letter::identity_id(auth, new.id), auth.now()).await?;
        tell_created(auth, tx, new.id, client).await?;
        phone_code::put(auth, tx, new.id, (first, &new.phone), &sent.code).await?;
        return Ok(new.id);
    };
    let id = row.user.id;
    let row = user::lock(tx, id).await?.ok_or(Fault::Vanished)?;
    let claim = claim::repeated(auth, &row, new);
    let user = row.user;
    if user.is_confirmed() || !claim::is_own(&user) {
        phone_code::put(auth, tx, id, (SIGN_IN, &new.phone), &sent.code).await?;
        letter_user::audit_repeated_sign_up(tx, id).await?;
        let is_known = user.phone_confirmed_at.is_some();
        return Ok(if is_known { signup_letter::stand_in(auth, &new.phone) } else { id });
    }
    let metadata = signup_letter::with_subject(claim.user_metadata, id);
    letter_user::restart(tx, (id, PHONE), claim.encrypted_password, &metadata, auth.now()).await?;
    let again = Sent { purpose: claim.purpose, ..SIGN_IN };
    phone_code::put(auth, tx, id, (again, &new.phone), &sent.code).await?;
    Ok(id)
}

/// What every code to an account's own number proves; it is used up. A password that somebody set who has not been shown to
/// own the number does not survive.
pub(crate) async fn confirm(auth: &Auth, tx: &Transaction<'_>, found: &Found) -> Result<(), Fault> {
    let user = &found.holder.user;
    let by_sign_up = found.token.purpose == Some(Purpose::SignUp);
    let keeps_password = by_sign_up || user.is_confirmed() || !claim::is_own(user);
    phone_user::confirm(tx, user.id, keeps_password, auth.now()).await?;
    one_time_token::delete_of_user(tx, user.id, VerifyType::Sms.token_types()).await
}
