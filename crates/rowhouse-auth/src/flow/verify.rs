//! Verification of links and codes: what a token confirms is done, the token is used up and a session opened, all in one
//! transaction.

use rowhouse_crypto::OpaqueSecret;
use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::email_change::Confirmed;
use crate::flow::notification::{self, Notification};
use crate::flow::one_time::{self, Found, PKCE_PREFIX};
use crate::flow::session::{self, Grant};
use crate::flow::{auth_code, claim, email_change, phone_change, phone_signup};
use crate::method::Method;
use crate::model::{Session, User};
use crate::one_time::{Purpose, VerifyType};
use crate::request::Client;
use crate::store::user;
use crate::store::user_change::{self, WriteError};
use crate::store::{letter_user, one_time_token};

/// Why nothing is verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// No such link, or it was used or has expired.
    #[error("Email link is invalid or has expired")]
    Link,
    /// The same of a code; also after too many wrong ones.
    #[error("Token has expired or is invalid")]
    Code,
    /// The token was right but the user is banned.
    #[error("User is banned")]
    Banned,
    /// The code challenge that the link was asked for with is gone.
    #[error("No associated flow state found")]
    NoFlow,
    /// Another user has the new address or number by now.
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(VerifyError);

/// What was presented.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    Link(Secret),
    /// Of an address, or of a number where the kind of verification is about one.
    Code {
        address: String,
        code: Secret,
    },
}

/// How the answer reaches the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The client gets a session.
    Session,
    /// A browser is redirected: with a code to be exchanged if the link was asked for with a code challenge.
    Redirect,
}

/// What was verified.
#[derive(Debug)]
pub(crate) enum Verified {
    Session(Box<Session>),
    /// To be exchanged by the client that has the code verifier.
    Code(OpaqueSecret),
    /// One of two owners has confirmed a change of the address.
    Half,
}

enum Done {
    Granted(Box<Grant>),
    Code(OpaqueSecret),
    Half,
    /// A wrong code, which the commit counts.
    Refused,
}

/// Verifies a link or code. All that fail take the same time, whether the address is known or not.
pub(crate) async fn verify(
    auth: &Auth,
    proof: Proof,
    kind: VerifyType,
    answer: Answer,
    client: &Client,
) -> Result<Verified, VerifyError> {
    let is_code = matches!(proof, Proof::Code { .. });
    let refused = move || if is_code { VerifyError::Code } else { VerifyError::Link };
    let operation = client.operation("auth.verify");
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| attempt(&service, tx, &proof, (kind, answer), &from).await;
    let run = auth.control.run_tx(&operation, work);
    let done = auth.code_pace.keep(run, |done| !matches!(done, Ok(Done::Refused) | Err(_))).await?;
    match done {
        Done::Granted(grant) => Ok(Verified::Session(Box::new(grant.sign(auth, client, auth.now()).await?))),
        Done::Code(code) => Ok(Verified::Code(code)),
        Done::Half => Ok(Verified::Half),
        Done::Refused => Err(refused()),
    }
}

async fn attempt(
    auth: &Auth,
    tx: &Transaction<'_>,
    proof: &Proof,
    (kind, answer): (VerifyType, Answer),
    client: &Client,
) -> Result<Done, VerifyError> {
    let types = kind.token_types();
    let found = match proof {
        Proof::Link(token) => one_time::find_by_token(auth, tx, token.expose(), types).await?,
        Proof::Code { address, code } => {
            one_time::find_by_code(auth, tx, address, code.expose(), types).await?
        }
    };
    let Some(found) = found.filter(|found| is_current(found, kind)) else { return Ok(Done::Refused) };
    if found.holder.user.is_banned(auth.now()) {
        return Err(VerifyError::Banned);
    }
    match kind {
        VerifyType::EmailChange => match email_change::confirm(auth, tx, &found).await? {
            Confirmed::Half => return Ok(Done::Half),
            Confirmed::Changed => tell_change(auth, tx, &found.holder.user, client).await?,
        },
        VerifyType::PhoneChange => phone_change::confirm(auth, tx, &found, client).await?,
        VerifyType::Sms => phone_signup::confirm(auth, tx, &found).await?,
        _ => confirm(auth, tx, &found).await?,
    }
    let is_pkce = matches!(proof, Proof::Link(token) if token.expose().starts_with(PKCE_PREFIX));
    if answer == Answer::Redirect && is_pkce {
        let flow = found.token.flow.ok_or(VerifyError::NoFlow)?;
        let code = auth_code::issue(auth, tx, flow, found.holder.user.id).await?;
        return Ok(Done::Code(code.ok_or(VerifyError::NoFlow)?));
    }
    open(auth, tx, &found.holder.user, client).await
}

async fn tell_change(auth: &Auth, tx: &Transaction<'_>, before: &User, client: &Client) -> Result<(), Fault> {
    let user = user::find(tx, before.id).await?.ok_or(Fault::Vanished)?.user;
    notification::tell(auth, tx, &user, Notification::EmailChanged { old: &before.email }, client).await
}

/// Whether letter or message went to an address or number that is still the account's, or part of its change.
fn is_current(found: &Found, kind: VerifyType) -> bool {
    match kind {
        VerifyType::EmailChange => email_change::is_current(found),
        VerifyType::PhoneChange => phone_change::is_current(found),
        VerifyType::Sms => found.token.address == found.holder.user.phone,
        _ => found.token.address == found.holder.user.email.to_ascii_lowercase(),
    }
}

/// What every letter to an account's own address proves. The other letters to it are void: each of them could do the
/// same. A password that somebody set who has not been shown to own the address does not survive.
async fn confirm(auth: &Auth, tx: &Transaction<'_>, found: &Found) -> Result<(), Fault> {
    let user = &found.holder.user;
    let by_sign_up = found.token.purpose == Some(Purpose::SignUp);
    let keeps_password = by_sign_up || !claim::is_own(user);
    letter_user::confirm(tx, user.id, keeps_password, auth.now()).await?;
    one_time_token::delete_of_user(tx, user.id, VerifyType::Email.token_types()).await
}

async fn open(auth: &Auth, tx: &Transaction<'_>, user: &User, client: &Client) -> Result<Done, VerifyError> {
    user_change::note_sign_in_time(tx, user.id, auth.now()).await?;
    let grant = session::open(auth, tx, user.id, Method::Otp.into(), client, auth.now()).await?;
    Ok(Done::Granted(Box::new(grant.ok_or(Fault::Vanished)?)))
}
