//! What a new user of the provider `email` consists of, whoever makes it.

use rowhouse_db::Transaction;
use serde_json::json;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::hook::Hook;
use crate::model::Object;
use crate::request::Client;
use crate::store::user::{self, NewUser};

/// Where addresses are confirmed by mail, an id without a time: one that is shown for an address that has an account is
/// computed from the address.
pub(crate) fn new_user_id(auth: &Auth) -> Uuid {
    if auth.settings.mailer_autoconfirm {
        return auth.new_id();
    }
    let mut random = [0_u8; 16];
    auth.rng.fill(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid()
}

/// A user of the provider `email`. As in GoTrue, the platform's own entries in the metadata override what the user
/// has sent.
pub(crate) fn new_user(id: Uuid, email: String, data: Object, is_confirmed: bool) -> NewUser {
    let mut user_metadata = data;
    let identity_data: Object = [
        ("sub", json!(id)),
        ("email", json!(email)),
        ("email_verified", json!(is_confirmed)),
        ("phone_verified", json!(false)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect();
    user_metadata.extend(identity_data.clone());
    NewUser {
        id,
        email,
        role: rowhouse_kernel::AUTHENTICATED.to_owned(),
        encrypted_password: None,
        is_confirmed,
        is_invited: false,
        app_metadata: app_metadata(),
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

/// What every user of the provider `email` has.
pub(crate) fn app_metadata() -> Object {
    [("provider", json!("email")), ("providers", json!(["email"]))]
        .map(|(k, v)| (k.to_owned(), v))
        .into_iter()
        .collect()
}
