//! One-time tokens: issued with a letter, and found again by the link's token or by address and code.

use rowhouse_crypto::{OpaqueSecret, digest_hex, is_equal, random_digits};
use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::letter::{Details, Issued, NewLetter};
use crate::model::User;
use crate::one_time::Sent;
use crate::pkce::Challenge;
use crate::request::Client;
use crate::store::flow_state::{self, NewFlow};
use crate::store::one_time_token::{self, NewToken, TokenRow};
use crate::store::user::{self, UserRow};
use crate::store::{audit, code_failure, letter_user};

/// What links of sign-ins with a code challenge begin with; clients and templates of GoTrue know it.
pub(crate) const PKCE_PREFIX: &str = "pkce_";

/// What the answer to a link is bound to, and where it leads.
#[derive(Debug, Clone)]
pub(crate) struct Return {
    pub(crate) challenge: Option<Challenge>,
    pub(crate) redirect_to: String,
}

/// Issues a token to the user's address and writes the letter with it; the user's earlier token of the type is void.
pub(crate) async fn send(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: &User,
    sent: Sent,
    back: &Return,
    client: &Client,
) -> Result<(), Fault> {
    send_to(auth, tx, (user, &user.email), sent, back, client).await?;
    letter_user::note_sent(tx, user.id, sent, auth.now()).await
}

/// The same to another address, without storing when.
pub(crate) async fn send_to(
    auth: &Auth,
    tx: &Transaction<'_>,
    (user, address): (&User, &str),
    sent: Sent,
    back: &Return,
    client: &Client,
) -> Result<(), Fault> {
    let issued = issue(auth, tx, user.id, address, sent, back).await?;
    let letter = NewLetter {
        letter: sent.letter(),
        to: address,
        user,
        details: Details::default(),
        issued: Some(&issued),
        link: sent.verify_type(),
        redirect_to: &back.redirect_to,
    };
    auth.letters.send(tx, &letter, client).await
}

/// Issues a token.
pub(crate) async fn issue(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: Uuid,
    address: &str,
    sent: Sent,
    back: &Return,
) -> Result<Issued, Fault> {
    let now = auth.now();
    let flow = match &back.challenge {
        Some(challenge) => Some(begin_flow(auth, tx, user, sent, challenge, &back.redirect_to).await?),
        None => None,
    };
    let secret = OpaqueSecret::generate(&*auth.rng);
    let prefix = if flow.is_some() { PKCE_PREFIX } else { "" };
    let token = Secret::new(format!("{prefix}{}", secret.expose()));
    let code = Secret::new(random_digits(usize::from(auth.settings.mailer_otp_length), &*auth.rng));
    let new = NewToken {
        id: auth.new_id(),
        user,
        sent,
        token_hash: &digest_hex(token.expose()),
        code_hash: &code_hash(auth, sent.token_type.as_str(), user, code.expose()),
        address: &address.to_ascii_lowercase(),
        flow,
        expires_at: now + auth.settings.mailer_otp_expiry,
    };
    one_time_token::put(tx, new, now).await?;
    Ok(Issued { token, code })
}

async fn begin_flow(
    auth: &Auth,
    tx: &Transaction<'_>,
    user: Uuid,
    sent: Sent,
    challenge: &Challenge,
    redirect_to: &str,
) -> Result<Uuid, Fault> {
    let id = auth.new_id();
    let new = NewFlow {
        id,
        user: Some(user),
        challenge: Some(challenge),
        provider: "email",
        method: sent.method().as_str(),
        referrer: redirect_to,
    };
    flow_state::insert(tx, new, auth.now()).await?;
    Ok(id)
}

/// The digest of a code; another one for each user and type.
pub(super) fn code_hash(auth: &Auth, token_type: &str, user: Uuid, code: &str) -> String {
    auth.codes.digest(&format!("{token_type}:{user}"), code)
}

/// A token that was presented, with its holder; both locked.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) token: TokenRow,
    pub(crate) holder: UserRow,
}

/// The token of a link, unless it has expired.
pub(crate) async fn find_by_token(
    auth: &Auth,
    tx: &Transaction<'_>,
    token: &str,
    types: &[&str],
) -> Result<Option<Found>, Fault> {
    let hash = digest_hex(token);
    let Some(holder) = one_time_token::find_holder(tx, &hash).await? else { return Ok(None) };
    let Some(holder) = find_holder(tx, holder).await? else { return Ok(None) };
    let token = one_time_token::lock(tx, &hash, types).await?;
    let token = token.filter(|token| is_fresh(token, auth.now()));
    Ok(token.map(|token| Found { token, holder }))
}

/// Wrong codes for an address within a day from which on each new code has one attempt: the owner can still get in by it,
/// and who guesses learns next to nothing. Links are not affected.
const MANY_FAILURES: i32 = 30;

/// The token with this code that was sent to the address, unless it has expired or too many wrong codes came before.
/// The attempt is counted first, for every token that the code could be of.
pub(crate) async fn find_by_code(
    auth: &Auth,
    tx: &Transaction<'_>,
    address: &str,
    code: &str,
    types: &[&str],
) -> Result<Option<Found>, Fault> {
    // First, and for unknown addresses, too: how long attempts wait for each other tells nothing.
    let digest = auth.codes.digest("code_failures", address);
    let failures = code_failure::count(tx, &digest, auth.now()).await?;
    let mut holders = Vec::new();
    for id in one_time_token::find_holders(tx, address, types).await? {
        holders.extend(find_holder(tx, id).await?);
    }
    let ids: Vec<Uuid> = holders.iter().map(|holder| holder.user.id).collect();
    let tokens = one_time_token::count_attempt(tx, address, &ids, types).await?;
    let most = match failures {
        ..=MANY_FAILURES => i32::from(auth.settings.otp_attempts),
        _ => 1,
    };
    let fits = |token: &TokenRow| {
        let digest = code_hash(auth, &token.token_type, token.user, code);
        is_equal(digest.as_bytes(), token.code_hash.as_bytes())
            && token.failed_attempts <= most
            && is_fresh(token, auth.now())
    };
    let asked = tokens.first().map(|token| token.user);
    let Some(token) = tokens.into_iter().find(fits) else {
        if let Some(user) = asked {
            audit::write(tx, "code_rejected", "user", user, json!({})).await?;
        }
        return Ok(None);
    };
    code_failure::forget(tx, &digest).await?;
    let holder = holders.into_iter().find(|holder| holder.user.id == token.user);
    Ok(holder.map(|holder| Found { token, holder }))
}

async fn find_holder(tx: &Transaction<'_>, id: Uuid) -> Result<Option<UserRow>, Fault> {
    let row = user::lock(tx, id).await?;
    Ok(row.filter(|row| row.user.deleted_at.is_none()))
}

fn is_fresh(token: &TokenRow, now: OffsetDateTime) -> bool {
    token.expires_at.is_some_and(|end| now < end)
}
