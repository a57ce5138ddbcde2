//! The user's decision about an authorization, which the project's consent page shows.

use rowhouse_crypto::OpaqueSecret;
use rowhouse_db::Transaction;
use rowhouse_kernel::AUTHENTICATED;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::live::{NotLive, require_live};
use crate::model::User;
use crate::oauth::Delegation;
use crate::oauth::client::OauthClient;
use crate::oauth::reply::Reply;
use crate::request::{Client, SignedIn};
use crate::store::oauth_authorization::{self, Authorization};
use crate::store::{oauth_client, oauth_consent, user};

/// Longest name of an authorization; a longer text is none.
const LONGEST_NAME: usize = 64;
/// The application is a product's.
const NOT_ENTITLED: &str = "The user is not entitled to this product";

/// An application gets a user's rights, never those of a role that bypasses row-level security.
const NOT_OF_A_USER: &str = "Only users of the role authenticated can authorize applications";

/// Why there is nothing to decide, or no decision.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsentError {
    #[error(transparent)]
    NotLive(#[from] NotLive),
    /// Unknown, expired, or another user's: one answer for all.
    #[error("authorization not found")]
    NotFound,
    #[error("authorization request is no longer pending")]
    Decided,
    /// A stolen password alone must not give an application access.
    #[error("AAL2 session is required to authorize an application when MFA is enabled.")]
    NeedsAal2,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(ConsentError);

/// What the user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Approve,
    Deny,
}

/// What the consent page shows, or where it leads at once.
#[derive(Debug)]
pub(crate) enum Shown {
    Question(Box<Question>),
    /// The user has allowed as much before.
    Answered(Reply),
}

#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) authorization: Authorization,
    pub(crate) client: OauthClient,
    pub(crate) user: User,
}

/// A request with who decides about it.
struct Pending {
    question: Question,
    lacks_factor: bool,
    session: Uuid,
}

/// Shows a request to the user. The first to look at it is the one to decide. There is nothing to decide for a user who is
/// not entitled to the product whose application asks.
pub(crate) async fn show(
    auth: &Auth,
    caller: SignedIn,
    name: String,
    client: &Client,
) -> Result<Shown, ConsentError> {
    let service = auth.clone();
    let work = async move |tx: &Transaction<'_>| {
        let now = service.now();
        let pending = lock(tx, caller, &name, now).await?;
        let (asked, user) = (&pending.question.authorization, caller.user.0);
        if asked.user.is_none() {
            oauth_authorization::claim(tx, asked.id, user).await?;
        }
        if pending.question.user.role != AUTHENTICATED {
            return Ok(Shown::Answered(refuse(&service, tx, asked, NOT_OF_A_USER).await?));
        }
        if !oauth_consent::enter(tx, user, asked.client).await? {
            return Ok(Shown::Answered(refuse(&service, tx, asked, NOT_ENTITLED).await?));
        }
        let allowed = oauth_consent::find(tx, user, asked.client).await?;
        let is_covered = allowed.is_some_and(|allowed| allowed.covers(&asked.scopes));
        let may_skip = pending.question.client.may_skip_consent(&asked.redirect_uri);
        if is_covered && may_skip && !pending.lacks_factor {
            return Ok(Shown::Answered(approve(&service, tx, &pending, now).await?));
        }
        Ok(Shown::Question(Box::new(pending.question)))
    };
    auth.control.run_tx(&client.operation("auth.show_authorization"), work).await
}

/// Decides; what the application is told.
pub(crate) async fn decide(
    auth: &Auth,
    caller: SignedIn,
    (name, decision): (String, Decision),
    client: &Client,
) -> Result<Reply, ConsentError> {
    let service = auth.clone();
    let work = async move |tx: &Transaction<'_>| {
        let now = service.now();
        let pending = lock(tx, caller, &name, now).await?;
        let asked = &pending.question.authorization;
        // Nobody decides about what they have not been shown.
        asked.user.ok_or(ConsentError::NotFound)?;
        if decision == Decision::Deny {
            return refuse(&service, tx, asked, "User denied the request").await;
        }
        if pending.question.user.role != AUTHENTICATED {
            return refuse(&service, tx, asked, NOT_OF_A_USER).await;
        }
        if !oauth_consent::enter(tx, caller.user.0, asked.client).await? {
            return refuse(&service, tx, asked, NOT_ENTITLED).await;
        }
        if pending.lacks_factor {
            return Err(ConsentError::NeedsAal2);
        }
        let delegation = Delegation { client: asked.client, scopes: asked.scopes.clone() };
        oauth_consent::put(tx, service.new_id(), caller.user.0, &delegation, now).await?;
        approve(&service, tx, &pending, now).await
    };
    auth.control.run_tx(&client.operation("auth.decide_authorization"), work).await
}

async fn lock(
    tx: &Transaction<'_>,
    caller: SignedIn,
    name: &str,
    now: OffsetDateTime,
) -> Result<Pending, ConsentError> {
    let (user, session) = (caller.user.0, caller.require_session()?.0);
    let live = user::find_live(tx, user, Some(session)).await?;
    let lacks_factor = live.as_ref().is_some_and(user::LiveUser::lacks_factor);
    let user = require_live(live, caller, now)?.user;
    if name.len() > LONGEST_NAME || name.contains('\0') {
        return Err(ConsentError::NotFound);
    }
    let authorization = oauth_authorization::lock(tx, name).await?.ok_or(ConsentError::NotFound)?;
    let is_of_other = authorization.user.is_some_and(|owner| owner != user.id);
    if is_of_other || authorization.expires_at <= now {
        return Err(ConsentError::NotFound);
    }
    if !authorization.is_pending {
        return Err(ConsentError::Decided);
    }
    let client = oauth_client::find(tx, authorization.client).await?.ok_or(ConsentError::NotFound)?;
    Ok(Pending { question: Question { authorization, client, user }, lacks_factor, session })
}

/// Ends the request; what the application is told (RFC 6749 section 4.1.2.1).
async fn refuse(
    auth: &Auth,
    tx: &Transaction<'_>,
    asked: &Authorization,
    why: &str,
) -> Result<Reply, ConsentError> {
    oauth_authorization::deny(tx, asked.id).await?;
    let told = ("access_denied", why.to_owned());
    Ok(Reply::error(&asked.redirect_uri, told, asked.state.as_deref(), &auth.issuer))
}

/// Gives the request a code.
async fn approve(
    auth: &Auth,
    tx: &Transaction<'_>,
    pending: &Pending,
    now: OffsetDateTime,
) -> Result<Reply, ConsentError> {
    let asked = &pending.question.authorization;
    let code = OpaqueSecret::generate(&*auth.rng);
    let sign_in = oauth_authorization::get_sign_in(tx, pending.session).await?;
    let times = (now, now + auth.oauth.code_lifetime);
    oauth_authorization::approve(tx, asked.id, &code.digest(), sign_in, times).await?;
    Ok(Reply::code(&asked.redirect_uri, code.expose(), asked.state.as_deref(), &auth.issuer))
}
