//! Changes of an account's address: letters to the new address and, with `auth.secure_email_change`, to the account's own,
//! and what their confirmation does.

use rowhouse_db::Transaction;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::one_time::{self, Found, Return};
use crate::flow::signup_letter;
use crate::letter_limit::{LetterKind, TooManyLetters};
use crate::model::User;
use crate::one_time::{Sent, TokenType, VerifyType};
use crate::request::Client;
use crate::store::user;
use crate::store::user_change::{self, WriteError};
use crate::store::{letter_user, one_time_token};

/// Counts the letters of a change to `new_email`.
pub(crate) async fn count(
    auth: &Auth,
    user: &User,
    new_email: &str,
    client: &Client,
) -> Result<(), TooManyLetters> {
    auth.letter_limit.check(LetterKind::EmailChange, new_email, client).await?;
    match user.email.is_empty() {
        true => Ok(()),
        false => auth.letter_limit.check(LetterKind::EmailChange, &user.email, client).await,
    }
}

/// Writes the letters of a change to the user's pending address; those of an earlier one are void. If somebody else has
/// the address, its owner is told, and nobody can confirm the change.
pub(crate) async fn begin(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    back: &Return,
    client: &Client,
) -> Result<(), Fault> {
    one_time_token::delete_of_user(tx, user.id, VerifyType::EmailChange.token_types()).await?;
    letter_user::note_sent(tx, user.id, Sent::EMAIL_CHANGE_NEW, auth.now()).await?;
    let owner = user::find_by_email(tx, &user.new_email).await?.filter(|owner| owner.user.id != user.id);
    if owner.is_none() && auth.letters.leave_by_hook() {
        return tell_hook(auth, tx, user, back, client).await;
    }
    match owner {
        Some(owner) => signup_letter::tell_owner(auth, tx, &owner.user, &back.redirect_to, client).await?,
        None => {
            let to = (user, user.new_email.as_str());
            one_time::send_to(auth, tx, to, Sent::EMAIL_CHANGE_NEW, back, client).await?;
        }
    }
    // A hook would take half of a change for a whole one, and write to the new address.
    if asks_owner(auth, user) && !auth.letters.leave_by_hook() {
        one_time::send_to(auth, tx, (user, &user.email), Sent::EMAIL_CHANGE_CURRENT, back, client).await?;
    }
    Ok(())
}

/// Writes the letters of a pending change once more to those who have not confirmed it. Whoever asks need not be its user: what
/// was confirmed stays so, and the links are bound to no client.
pub(crate) async fn resend(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    redirect_to: &str,
    client: &Client,
) -> Result<(), Fault> {
    let back = Return { challenge: None, redirect_to: redirect_to.to_owned() };
    if !letter_user::is_half_confirmed(tx, user.id).await? {
        return begin(auth, tx, user, &back, client).await;
    }
    let left = one_time_token::types_of_user(tx, user.id, VerifyType::EmailChange.token_types()).await?;
    let halves = [(Sent::EMAIL_CHANGE_NEW, &user.new_email), (Sent::EMAIL_CHANGE_CURRENT, &user.email)];
    for (sent, address) in halves {
        if left.iter().any(|name| name == sent.token_type.as_str()) {
            send_half(auth, tx, user, (sent, address), &back, client).await?;
        }
    }
    Ok(())
}

/// A hook can be told of the new address's half alone: it takes half of a change for a whole one.
async fn send_half(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    (sent, address): (Sent, &str),
    back: &Return,
    client: &Client,
) -> Result<(), Fault> {
    if !auth.letters.leave_by_hook() {
        return one_time::send_to(auth, tx, (user, address), sent, back, client).await;
    }
    if sent == Sent::EMAIL_CHANGE_NEW {
        let new = one_time::issue(auth, tx, user.id, address, sent, back).await?;
        auth.letters.tell_change(tx, user, (&new, None), &back.redirect_to, client).await?;
    }
    Ok(())
}

/// Whether the account's own address has to confirm, too.
fn asks_owner(auth: &Auth, user: &User) -> bool {
    auth.settings.secure_email_change && !user.email.is_empty()
}

/// Both letters are one event.
async fn tell_hook(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    back: &Return,
    client: &Client,
) -> Result<(), Fault> {
    let new = one_time::issue(auth, tx, user.id, &user.new_email, Sent::EMAIL_CHANGE_NEW, back).await?;
    let current = match asks_owner(auth, user) {
        true => {
            Some(one_time::issue(auth, tx, user.id, &user.email, Sent::EMAIL_CHANGE_CURRENT, back).await?)
        }
        false => None,
    };
    auth.letters.tell_change(tx, user, (&new, current.as_ref()), &back.redirect_to, client).await
}

/// Whether the token was sent to an address that is still part of the change.
pub(crate) fn is_current(found: &Found) -> bool {
    let user = &found.holder.user;
    let address = match found.token.token_type == TokenType::EmailChangeNew.as_str() {
        true => &user.new_email,
        false => &user.email,
    };
    !user.new_email.is_empty() && found.token.address == address.to_ascii_lowercase()
}

/// What a confirmation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// The other owner has to confirm, too.
    Half,
    Changed,
}

/// Uses a token up, and changes the address once all have confirmed.
pub(crate) async fn confirm(
    auth: &Auth,
    tx: &Transaction<'_>,
    found: &Found,
) -> Result<Confirmed, WriteError> {
    let user = &found.holder.user;
    let settings = &auth.settings;
    let needs_both = settings.secure_email_change && !settings.mailer_autoconfirm && !user.email.is_empty();
    one_time_token::take(tx, found.token.id).await?;
    if needs_both && letter_user::confirm_half(tx, user.id, auth.now()).await? {
        return Ok(Confirmed::Half);
    }
    apply(auth, tx, user).await.map(|()| Confirmed::Changed)
}

/// Makes the pending address the account's. All letters before are void: those to the former address would still sign in.
pub(crate) async fn apply(auth: &Auth, tx: &Transaction<'_>, user: &User) -> Result<(), WriteError> {
    user_change::require_free(tx, &user.new_email, user.id).await?;
    letter_user::apply_email_change(tx, user.id, auth.new_id(), auth.now()).await?;
    Ok(one_time_token::delete_all(tx, user.id).await?)
}
