//! Sign-up where addresses are confirmed by mail. Whether an address is new, waits for its confirmation or has an account
//! is told to its owner alone: the answer is made of the request.

use rowhouse_db::Transaction;
use rowhouse_mail::Letter;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::claim;
use crate::flow::new_user::{EMAIL, PHONE, app_metadata, tell_created};
use crate::flow::one_time::{self, Return};
use crate::letter::{Details, NewLetter};
use crate::model::{Identity, Object, User};
use crate::one_time::{Purpose, Sent, TokenType};
use crate::request::Client;
use crate::store::letter_user;
use crate::store::user;
use crate::store::user_change::WriteError;
use crate::store::user_creation::{self, NewUser};

/// Writes what a sign-up does to the address's account, and the letter to its owner. Returns the user's id for the
/// answer.
pub(crate) async fn sign_up(
    auth: &Auth,
    tx: &Transaction<'_>,
    new: &NewUser,
    back: &Return,
    client: &Client,
) -> Result<Uuid, WriteError> {
    let Some(row) = user::find_by_email(tx, &new.email).await? else {
        user_creation::insert(tx, new, identity_id(auth, new.id), auth.now()).await?;
        tell_created(auth, tx, new.id, client).await?;
        send(auth, tx, new.id, Purpose::SignUp, back, client).await?;
        return Ok(new.id);
    };
    let id = row.user.id;
    let row = user::lock(tx, id).await?.ok_or(Fault::Vanished)?;
    let claim = claim::repeated(auth, &row, new);
    let user = row.user;
    if user.is_confirmed() {
        tell_owner(auth, tx, &user, &back.redirect_to, client).await?;
        letter_user::audit_repeated_sign_up(tx, id).await?;
        return Ok(stand_in(auth, &new.email));
    }
    if !claim::is_own(&user) {
        send(auth, tx, id, Purpose::Invite, back, client).await?;
        return Ok(id);
    }
    let metadata = with_subject(claim.user_metadata, id);
    letter_user::restart(tx, (id, EMAIL), claim.encrypted_password, &metadata, auth.now()).await?;
    send(auth, tx, id, claim.purpose, back, client).await?;
    Ok(id)
}

async fn send(
    auth: &Auth,
    tx: &Transaction<'_>,
    id: Uuid,
    purpose: Purpose,
    back: &Return,
    client: &Client,
) -> Result<(), Fault> {
    let user = user::find(tx, id).await?.ok_or(Fault::Vanished)?.user;
    let sent = Sent { token_type: TokenType::Confirmation, purpose };
    one_time::send(auth, tx, &user, sent, back, client).await
}

/// Tells the owner of an account that somebody, perhaps they themselves, has signed up again.
pub(crate) async fn tell_owner(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    redirect_to: &str,
    client: &Client,
) -> Result<(), Fault> {
    let letter = NewLetter {
        letter: Letter::AccountExists,
        to: &user.email,
        user,
        details: Details::default(),
        issued: None,
        link: None,
        redirect_to,
    };
    auth.letters.send(tx, &letter, client).await
}

/// The id shown for an address or number that has an account: always the same, as for one that waits for its confirmation.
pub(crate) fn stand_in(auth: &Auth, email: &str) -> Uuid {
    derived(auth, "stand-in", email)
}

/// A random UUID (version 4) that the key and the text determine.
fn derived(auth: &Auth, purpose: &str, text: &str) -> Uuid {
    let digest = auth.codes.digest(purpose, text);
    let bits = u128::from_str_radix(digest.get(..32).unwrap_or_default(), 16).unwrap_or_default();
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

pub(crate) fn identity_id(auth: &Auth, user: Uuid) -> Uuid {
    derived(auth, "identity", &user.to_string())
}

pub(crate) fn with_subject(mut metadata: Object, id: Uuid) -> Object {
    metadata.insert("sub".to_owned(), Value::String(id.to_string()));
    metadata
}

/// The user in the answer, made of the request in every case.
pub(crate) fn shown(auth: &Auth, id: Uuid, asked: &NewUser, now: OffsetDateTime) -> User {
    // The times of real users come from the database, in microseconds.
    let now = now.replace_nanosecond(now.microsecond() * 1000).unwrap_or(now);
    let identity = Identity {
        identity_id: identity_id(auth, id),
        id: id.to_string(),
        user_id: id,
        identity_data: with_subject(asked.identity_data.clone(), id),
        provider: if asked.email.is_empty() { PHONE } else { EMAIL }.to_owned(),
        last_sign_in_at: Some(now),
        created_at: Some(now),
        updated_at: Some(now),
        email: Some(asked.email.clone()).filter(|email| !email.is_empty()),
    };
    User {
        id,
        aud: rowhouse_kernel::AUTHENTICATED.to_owned(),
        role: asked.role.clone(),
        email: asked.email.clone(),
        email_confirmed_at: None,
        invited_at: None,
        phone: asked.phone.clone(),
        phone_confirmed_at: None,
        confirmation_sent_at: Some(now),
        confirmed_at: None,
        recovery_sent_at: None,
        new_email: String::new(),
        email_change_sent_at: None,
        new_phone: String::new(),
        phone_change_sent_at: None,
        reauthentication_sent_at: None,
        last_sign_in_at: None,
        app_metadata: app_metadata(if asked.email.is_empty() { PHONE } else { EMAIL }),
        user_metadata: with_subject(asked.user_metadata.clone(), id),
        factors: Vec::new(),
        identities: vec![identity],
        created_at: now,
        updated_at: now,
        banned_until: None,
        deleted_at: None,
        is_anonymous: false,
    }
}
