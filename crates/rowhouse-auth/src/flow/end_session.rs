//! Signing out because an application asks for it (OpenID Connect RP-Initiated Logout 1.0). Whoever presents an ID token may be
//! anybody, since applications pass it through browsers' addresses: it ends a session only in the browser that the session is
//! of, which the cookie tells.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_crypto::{TokenError, TokenSource, VerifiedToken};
use rowhouse_db::Transaction;
use serde_json::{Value, json};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::oauth_client;
use crate::oauth::client::OauthClient;
use crate::oauth::parameter::{Parameters, Repeated};
use crate::request::Client;
use crate::store::{audit, oauth_consent};

/// What is read of a request; the others of the specification are taken and not used.
pub(crate) const PARAMETERS: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];
/// Longest `state`, as that of an authorization.
const LONGEST_STATE: usize = 4096;

/// Why nobody is signed out or led anywhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("invalid client_id")]
    NoSuchClient,
    #[error("id_token_hint is of another client than client_id")]
    OtherClient,
    #[error("post_logout_redirect_uri needs a valid id_token_hint or a client_id")]
    NoClient,
    #[error(
        "invalid post_logout_redirect_uri; it has to be registered with the client, character by character"
    )]
    OtherUri,
    #[error("state is longer than 4096 bytes")]
    TooLong,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(EndError);

/// A request that was checked.
#[derive(Debug)]
pub(crate) struct Asked {
    client: Option<OauthClient>,
    /// Of a valid hint.
    session: Option<Uuid>,
    back: Option<String>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The session has ended.
    Done,
    /// The person decides.
    Question,
}

impl Asked {
    pub(crate) async fn read(auth: &Auth, sent: &Parameters, from: &Client) -> Result<Self, EndError> {
        let hint = sent.one("id_token_hint")?.and_then(|hint| Hint::read(auth, hint));
        let named = sent.one("client_id")?;
        let named: Option<Uuid> = named.map(str::parse).transpose().map_err(|_| EndError::NoSuchClient)?;
        if named.zip(hint.as_ref()).is_some_and(|(named, hint)| named != hint.client) {
            return Err(EndError::OtherClient);
        }
        let client = match named.or(hint.as_ref().map(|hint| hint.client)) {
            Some(id) => Some(oauth_client::find(auth, id, from).await?.ok_or(EndError::NoSuchClient)?),
            None => None,
        };
        let back =
            sent.one("post_logout_redirect_uri")?.map(|uri| allowed(client.as_ref(), uri)).transpose()?;
        let back = back.map(|url| with_state(url, sent.one("state")?)).transpose()?;
        Ok(Self { client, session: hint.map(|hint| hint.session), back })
    }

    /// Where it leads.
    pub(crate) fn back(&self) -> Option<String> {
        self.back.clone()
    }

    /// Who asks, as far as that is told.
    pub(crate) fn application(&self) -> Option<&str> {
        self.client.as_ref()?.name.as_deref()
    }
}

fn allowed(client: Option<&OauthClient>, uri: &str) -> Result<Url, EndError> {
    let client = client.ok_or(EndError::NoClient)?;
    if !client.allows_post_logout(uri) {
        return Err(EndError::OtherUri);
    }
    Url::parse(uri).map_err(|_| EndError::OtherUri)
}

fn with_state(mut url: Url, state: Option<&str>) -> Result<String, EndError> {
    if state.is_some_and(|state| state.len() > LONGEST_STATE) {
        return Err(EndError::TooLong);
    }
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Ok(url.into())
}

/// An ID token of this server, expired or not: it says who asks, and for which session.
#[derive(Debug)]
struct Hint {
    client: Uuid,
    session: Uuid,
}

impl Hint {
    fn read(auth: &Auth, token: &str) -> Option<Self> {
        let verified = verify(auth, token)?;
        let is_ours = verified.source == TokenSource::Access && verified.text("iss") == Some(&*auth.issuer);
        let id = |name: &str| verified.text(name)?.parse().ok();
        // An access token has another audience, and no `sid`.
        is_ours.then(|| Some(Self { client: id("aud")?, session: id("sid")? }))?
    }
}

/// The signature is checked first, so the time in an expired token is one that was signed.
fn verify(auth: &Auth, token: &str) -> Option<VerifiedToken> {
    let ring = auth.keys.ring();
    match ring.verify(token, auth.now()) {
        Ok(verified) => Some(verified),
        Err(TokenError::Expired) => ring.verify(token, issued_at(token)?).ok(),
        Err(_) => None,
    }
}

fn issued_at(token: &str) -> Option<OffsetDateTime> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    OffsetDateTime::from_unix_timestamp(claims["iat"].as_i64()?).ok()
}

/// Ends the session of the hint, if it is of this browser; otherwise the person decides.
pub(crate) async fn begin(
    auth: &Auth,
    asked: &Asked,
    browser: Option<String>,
    from: &Client,
) -> Result<Ending, EndError> {
    let Some((session, browser)) = asked.session.zip(browser) else { return Ok(Ending::Question) };
    let ended = end(auth, browser, Some(session), from).await?;
    Ok(if ended == 0 { Ending::Question } else { Ending::Done })
}

/// Ends everything that applications have opened in this browser.
pub(crate) async fn end_all(auth: &Auth, browser: String, from: &Client) -> Result<(), EndError> {
    end(auth, browser, None, from).await?;
    Ok(())
}

/// Of how many users sessions were ended.
async fn end(auth: &Auth, browser: String, session: Option<Uuid>, from: &Client) -> Result<usize, EndError> {
    let work = async move |tx: &Transaction<'_>| {
        let users = oauth_consent::end_browser_sessions(tx, &browser, session).await?;
        for user in &users {
            audit::write(tx, "logout", "account", *user, json!({ "oauth_session_id": session })).await?;
        }
        Ok::<_, EndError>(users.len())
    };
    auth.control.run_tx(&from.operation("auth.end_browser_sessions"), work).await
}
