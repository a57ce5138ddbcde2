//! Changes of an account's number: a code to the new one, and what its confirmation does.

use rowhouse_db::Transaction;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::notification::{self, Notification};
use crate::flow::one_time::Found;
use crate::flow::phone_code::{self, CodeError, SentCode, Text};
use crate::model::User;
use crate::one_time::Sent;
use crate::phone::{Channel, Phone};
use crate::request::Client;
use crate::sms_limit::SmsKind;
use crate::store::one_time_token;
use crate::store::phone_user::{self, NewPhone};
use crate::store::user_change::WriteError;

/// Codes that are void once an account has another number: those to the former one would still sign in.
const TYPES: &[&str] = &["phone_confirmation_token", "phone_change_token", "reauthentication_token"];

/// A number that a user wants.
#[derive(Debug)]
pub(crate) struct WantedPhone {
    pub(crate) phone: Phone,
    pub(crate) channel: Channel,
}

/// A change to be stored.
#[derive(Debug)]
pub(crate) struct PhoneChange {
    phone: Phone,
    /// `None` where numbers are confirmed at once.
    code: Option<SentCode>,
}

/// Sends the code. Whether somebody else has the number is not looked up: only who has its code learns it.
pub(crate) async fn send(
    auth: &Auth,
    user: &User,
    wanted: WantedPhone,
    client: &Client,
) -> Result<PhoneChange, CodeError> {
    let WantedPhone { phone, channel } = wanted;
    if auth.sms.settings.autoconfirm {
        return Ok(PhoneChange { phone, code: None });
    }
    let kind = SmsKind::PhoneChange;
    auth.sms.limit.check(kind, phone.as_str(), client).await?;
    let code = phone_code::send(auth, Text { user, phone: phone.as_str(), kind, channel }, client).await?;
    Ok(PhoneChange { phone, code: Some(code) })
}

/// Stores a pending number with its code, or gives it to the account at once.
pub(crate) async fn write(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    change: &PhoneChange,
    client: &Client,
) -> Result<(), WriteError> {
    let phone = change.phone.as_str();
    let Some(sent) = &change.code else {
        apply(auth, tx, user.id, (phone, true)).await?;
        return Ok(tell(auth, tx, user, client).await?);
    };
    phone_user::set_pending(tx, user.id, phone, auth.now()).await?;
    Ok(phone_code::put(auth, tx, user.id, (Sent::PHONE_CHANGE, phone), &sent.code).await?)
}

/// Whether the code was sent to the number that is still wanted.
pub(crate) fn is_current(found: &Found) -> bool {
    !found.holder.user.new_phone.is_empty() && found.token.address == found.holder.user.new_phone
}

/// Makes the number that the code was sent to the account's.
pub(crate) async fn confirm(
    auth: &Auth,
    tx: &Transaction<'_>,
    found: &Found,
    client: &Client,
) -> Result<(), WriteError> {
    let user = &found.holder.user;
    apply(auth, tx, user.id, (&found.token.address, true)).await?;
    Ok(tell(auth, tx, user, client).await?)
}

/// Tells the owner; `user` is as before the change.
async fn tell(auth: &Auth, tx: &Transaction<'_>, user: &User, client: &Client) -> Result<(), Fault> {
    let changed = Notification::PhoneChanged { old: &user.phone };
    notification::tell(auth, tx, user, changed, client).await
}

/// Gives an account a number.
pub(crate) async fn apply(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: Uuid,
    (phone, is_confirmed): (&str, bool),
) -> Result<(), WriteError> {
    phone_user::require_free(tx, phone, user).await?;
    let new = NewPhone { phone, is_confirmed, identity: auth.new_id() };
    phone_user::set(tx, user, new, auth.now()).await?;
    Ok(one_time_token::delete_of_user(tx, user, TYPES).await?)
}
