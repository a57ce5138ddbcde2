//! Sign-up without address and number. Such a user becomes a permanent one by giving an address.

use std::sync::Arc;

use rowhouse_db::Transaction;
use serde_json::json;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::new_user::{new_user, tell_created};
use crate::flow::session::{self, Grant};
use crate::flow::signup::SignUpError;
use crate::flow::signup_letter;
use crate::hook::Hook;
use crate::metadata;
use crate::method::Method;
use crate::model::{Object, Session, User};
use crate::request::Client;
use crate::store::user_change;
use crate::store::user_creation;

/// Creates the user, with profile, organization and tenant as every other, and a session.
pub(crate) async fn sign_up(auth: &Auth, data: Object, client: &Client) -> Result<Session, SignUpError> {
    if auth.settings.disable_signup {
        return Err(SignUpError::Disabled);
    }
    let (id, now, data) = (auth.new_id(), auth.now(), Arc::new(metadata::user(0, data)?));
    let event = json!({ "user": announced(auth, id, &data) });
    auth.hooks.call(Hook::BeforeUserCreated, event, client).await?;
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        user_creation::insert_anonymous(tx, id, &data, now).await?;
        user_change::note_sign_in_time(tx, id, now).await?;
        tell_created(&service, tx, id, &from).await?;
        let grant = session::open(&service, tx, id, Method::Anonymous.into(), &from, now).await?;
        grant.ok_or(Fault::Vanished)
    };
    let grant: Grant = auth.control.run_tx(&client.operation("auth.sign_up_anonymous"), work).await?;
    Ok(grant.sign(auth, client, now).await?)
}

fn announced(auth: &Auth, id: uuid::Uuid, data: &Object) -> User {
    let new = new_user(id, String::new(), Object::new(), false);
    User {
        app_metadata: Object::new(),
        user_metadata: data.clone(),
        identities: Vec::new(),
        confirmation_sent_at: None,
        is_anonymous: true,
        ..signup_letter::shown(auth, id, &new, auth.now())
    }
}
