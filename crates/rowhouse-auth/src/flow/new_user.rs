//! What a new user of the provider `email` or `phone` consists of, whoever makes it.

use rowhouse_db::Transaction;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::hook::Hook;
use crate::model::Object;
use crate::phone::Phone;
use crate::request::Client;
use crate::store::user;
use crate::store::user_creation::NewUser;

/// The provider of users who sign in by address.
pub(crate) const EMAIL: &str = "email";
/// The provider of users who sign in by number.
pub(crate) const PHONE: &str = "phone";

/// Where addresses are confirmed by mail, an id without a time: one that is shown for an address that has an account is
/// computed from the address.
pub(crate) fn new_user_id(auth: &Auth) -> Uuid {
    if auth.settings.mailer_autoconfirm { auth.new_id() } else { random_id(auth) }
}

/// The same for numbers.
pub(crate) fn new_phone_user_id(auth: &Auth) -> Uuid {
    if auth.sms.settings.autoconfirm { auth.new_id() } else { random_id(auth) }
}

fn random_id(auth: &Auth) -> Uuid {
    let mut random = [0_u8; 16];
    auth.rng.fill(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid()
}

/// A user of the provider `email`. As in GoTrue, the platform's own entries in the metadata override what the user
/// has sent.
pub(crate) fn new_user(id: Uuid, email: String, data: Object, is_confirmed: bool) -> NewUser {
    let entries = [
        ("sub", json!(id)),
        ("email", json!(email)),
        ("email_verified", json!(is_confirmed)),
        ("phone_verified", json!(false)),
    ];
    NewUser { email, is_confirmed, ..unnamed(id, data, app_metadata(EMAIL), entries) }
}

/// The same of the provider `phone`.
pub(crate) fn new_phone_user(id: Uuid, phone: &Phone, data: Object, is_confirmed: bool) -> NewUser {
    let phone = phone.as_str().to_owned();
    let entries = [
        ("sub", json!(id)),
        ("phone", json!(phone)),
        ("email_verified", json!(false)),
        ("phone_verified", json!(is_confirmed)),
    ];
    NewUser { phone, is_phone_confirmed: is_confirmed, ..unnamed(id, data, app_metadata(PHONE), entries) }
}

/// Without address and number.
fn unnamed(
    id: Uuid,
    mut user_metadata: Object,
    app_metadata: Object,
    entries: [(&'static str, Value); 4],
) -> NewUser {
    let identity_data: Object = entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    user_metadata.extend(identity_data.clone());
    NewUser {
        id,
        email: String::new(),
        phone: String::new(),
        role: rowhouse_kernel::AUTHENTICATED.to_owned(),
        encrypted_password: None,
        is_confirmed: false,
        is_phone_confirmed: false,
        is_invited: false,
        app_metadata,
        user_metadata,
        identity_data,
        banned_until: None,
    }
}

/// A user whom an administrator names, not confirmed: as in GoTrue, nothing is added to what the administrator says of
/// them.
pub(crate) fn named_user(id: Uuid, email: String, user_metadata: Object) -> NewUser {
    NewUser { user_metadata, ..new_user(id, email, Object::new(), false) }
}

/// Tells the project's hook of a user that this transaction has made.
pub(crate) async fn tell_created(
    auth: &Auth,
    tx: &Transaction<'_>,
    id: Uuid,
    client: &Client,
) -> Result<(), Fault> {
    if !auth.hooks.has(Hook::AfterUserCreated) {
        return Ok(());
    }
    let user = user::find(tx, id).await?.ok_or(Fault::Vanished)?.user;
    auth.hooks.tell(tx, Hook::AfterUserCreated, json!({ "user": user }), client).await
}

/// What every user of the provider has.
pub(crate) fn app_metadata(provider: &str) -> Object {
    [("provider", json!(provider)), ("providers", json!([provider]))]
        .map(|(k, v)| (k.to_owned(), v))
        .into_iter()
        .collect()
}
