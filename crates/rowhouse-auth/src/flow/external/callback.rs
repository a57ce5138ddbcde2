//! The way back from a provider.
//!
//! The state serves once, whatever comes of it: it is taken before the provider is asked, which happens outside of
//! transactions. Then one transaction finds or makes the account and issues the code or the session. A crash in between
//! leaves neither, and the user begins anew. Only the browser that was sent to the provider may come back with the state;
//! another one uses nothing up.

use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::admit::{AdmitError, admit, announce};
use super::begin::{ProviderState, callback_url};
use super::find::{self, FindError};
use super::link::{self, LinkError};
use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::auth_code;
use crate::flow::new_user::tell_created;
use crate::flow::session::{self, Grant};
use crate::method::{Method, SignedInBy};
use crate::model::Session;
use crate::provider::{Code, Expected, Nonce, Profile, Protocol, Provider, ProviderError, Tokens};
use crate::request::Client;
use crate::sealed;
use crate::sealed_text::flow_label;
use crate::store::external_flow::{self, ExternalFlow};
use crate::store::flow_state;
use crate::store::identity::AtProvider;

/// How long somebody may take at the provider.
pub(super) const LIFETIME: Duration = Duration::minutes(10);

/// What the provider sends along.
#[derive(Debug, Default)]
pub(crate) struct Callback {
    pub(crate) state: String,
    /// SHA-256 of what the browser keeps, if it keeps anything.
    pub(crate) browser: Option<String>,
    pub(crate) code: String,
    /// Set if the provider refuses.
    pub(crate) error: String,
    pub(crate) error_description: String,
    /// The issuer, where the provider names itself (RFC 9207).
    pub(crate) issuer: String,
    /// Apple's, the first time: JSON with the name.
    pub(crate) user: String,
}

/// Where the browser goes from here.
#[derive(Debug)]
pub(crate) enum Returned {
    /// The client exchanges this.
    Code {
        target: String,
        code: String,
    },
    Session {
        target: String,
        session: Box<Session>,
    },
}

/// A refusal, and where it is reported; to the site's URL without a flow.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) target: Option<String>,
    pub(crate) error: CallbackError,
}

/// Why the way back ends in an error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallbackError {
    #[error("OAuth state parameter missing")]
    NoState,
    /// The browser was sent to no provider, or too long ago.
    #[error("OAuth state not found in this browser")]
    OtherBrowser,
    /// Never issued, issued to another browser, or used.
    #[error("OAuth state not found or expired")]
    UnknownState,
    #[error("OAuth state has expired")]
    Expired,
    #[error("{description}")]
    Provider { error: String, description: String },
    #[error("OAuth callback with missing authorization code missing")]
    NoCode,
    /// The browser was sent to one provider and comes from another.
    #[error("OAuth callback of another issuer")]
    OtherIssuer,
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("Unable to exchange external code")]
    Exchange(#[source] ProviderError),
    #[error("Error getting user profile from external provider")]
    Profile(#[source] ProviderError),
    #[error(transparent)]
    Admit(#[from] AdmitError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(CallbackError);

/// Who has come back.
#[derive(Debug)]
struct Arrival {
    flow: ExternalFlow,
    provider: Provider,
    profile: Profile,
    tokens: Tokens,
    /// The id of the account, if a new one is made.
    new: Uuid,
}

enum Effect {
    Code(String),
    Session(Box<Grant>),
}

/// Ends a flow in a code, a session or a refusal.
pub(crate) async fn finish(auth: &Auth, callback: Callback, client: &Client) -> Result<Returned, Refused> {
    let flow = take_flow(auth, &callback, client).await;
    let flow = flow.map_err(|error| Refused { target: None, error })?;
    let (target, id) = (flow.referrer.clone(), flow.id);
    match complete(auth, flow, callback, client).await {
        Ok(returned) => Ok(returned),
        Err(error) => {
            let operation = client.operation("auth.drop_external");
            let drop = async move |db: &tokio_postgres::Client| flow_state::delete(db, id).await;
            let dropped: Result<bool, Fault> = auth.control.statement(&operation, drop).await;
            let error = dropped.map_or_else(CallbackError::from, |_| error);
            Err(Refused { target: Some(target), error })
        }
    }
}

async fn take_flow(auth: &Auth, callback: &Callback, client: &Client) -> Result<ExternalFlow, CallbackError> {
    if callback.state.is_empty() {
        return Err(CallbackError::NoState);
    }
    let browser = callback.browser.clone().ok_or(CallbackError::OtherBrowser)?;
    let digest = rowhouse_crypto::digest_hex(&callback.state);
    let take = async move |tx: &Transaction<'_>| external_flow::take(tx, &digest, &browser).await;
    let taken: Result<_, Fault> = auth.control.run_tx(&client.operation("auth.take_external"), take).await;
    let flow = taken?.ok_or(CallbackError::UnknownState)?;
    if flow.created_at + LIFETIME < auth.now() { Err(CallbackError::Expired) } else { Ok(flow) }
}

async fn complete(
    auth: &Auth,
    flow: ExternalFlow,
    callback: Callback,
    client: &Client,
) -> Result<Returned, CallbackError> {
    if !callback.error.is_empty() {
        let (error, description) = (callback.error, callback.error_description);
        return Err(CallbackError::Provider { error, description });
    }
    if callback.code.is_empty() {
        return Err(CallbackError::NoCode);
    }
    let provider = find::provider(auth, &flow.provider, client).await?;
    let is_named = !callback.issuer.is_empty() && matches!(provider.protocol, Protocol::Oidc { .. });
    if is_named && !provider.is_of(&callback.issuer) {
        return Err(CallbackError::OtherIssuer);
    }
    let (tokens, mut profile) = ask(auth, &provider, &flow, &callback.code).await?;
    if let Some(name) = name(&callback.user) {
        profile.set_name(&name);
    }
    let (target, access, refresh) =
        (flow.referrer.clone(), tokens.access_token.clone(), tokens.refresh_token.clone());
    let new = match flow.link_to {
        Some(user) => user,
        None => announce(auth, &provider, &profile, client).await?,
    };
    let now = auth.now();
    let arrival = Arrival { flow, provider, profile, tokens, new };
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| settle(&service, tx, &arrival, &from, now).await;
    match auth.control.run_tx(&client.operation("auth.finish_external"), work).await? {
        Effect::Code(code) => Ok(Returned::Code { target, code }),
        Effect::Session(grant) => {
            let session = grant.sign(auth, client, now).await?.with_provider_tokens(Some(access), refresh);
            Ok(Returned::Session { target, session: Box::new(session) })
        }
    }
}

/// The provider's tokens for the code, and whose they are.
async fn ask(
    auth: &Auth,
    provider: &Provider,
    flow: &ExternalFlow,
    code: &str,
) -> Result<(Tokens, Profile), CallbackError> {
    let own = ProviderState::open(auth, flow.id, &flow.provider_state)?;
    let back = callback_url(auth, provider.redirect_uri.as_deref());
    let code = Code { code, verifier: &own.verifier, back: &back };
    let tokens = auth.providers.exchange(provider, code).await.map_err(CallbackError::Exchange)?;
    let expected = Expected {
        client_ids: &provider.client_ids,
        nonce: if provider.skip_nonce_check { Nonce::Any } else { Nonce::Sent(&own.nonce) },
        access_token: Some(tokens.access_token.expose()),
    };
    let profile = auth.providers.profile(provider, &tokens, expected).await;
    Ok((tokens.clone(), profile.map_err(CallbackError::Profile)?))
}

/// One transaction: account and code, or account and session.
async fn settle(
    auth: &Auth,
    tx: &Transaction<'_>,
    arrival: &Arrival,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Effect, CallbackError> {
    let Arrival { flow, provider, profile, tokens, new } = arrival;
    // The user may have signed out everywhere while the provider was asked.
    if !flow.has_challenge && !flow_state::delete(tx, flow.id).await? {
        return Err(CallbackError::UnknownState);
    }
    let user = match flow.link_to {
        Some(user) if flow.has_challenge => postpone(auth, tx, user, arrival).await.map(|()| user)?,
        Some(user) => {
            link::link(auth, tx, user, (&provider.name, profile), client, now).await.map(|()| user)?
        }
        None => admit(auth, tx, provider, profile, *new, now).await?,
    };
    if flow.link_to.is_none() && user == *new {
        tell_created(auth, tx, user, client).await?;
    }
    if flow.has_challenge {
        keep(auth, tx, flow.id, tokens).await?;
        let code = auth_code::issue(auth, tx, flow.id, user).await?.ok_or(CallbackError::UnknownState)?;
        return Ok(Effect::Code(code.expose().to_owned()));
    }
    let by = SignedInBy { method: Method::Oauth, provider: Some(&provider.name) };
    let grant = session::open(auth, tx, user, by, client, now).await?.ok_or(Fault::Vanished)?;
    Ok(Effect::Session(Box::new(grant)))
}

/// Keeps the identity to be linked until the code is exchanged; one that somebody has is refused here already.
async fn postpone(auth: &Auth, tx: &Transaction<'_>, user: Uuid, arrival: &Arrival) -> Result<(), LinkError> {
    let Arrival { flow, provider, profile, .. } = arrival;
    let at = AtProvider { provider: &provider.name, subject: &profile.subject };
    link::require_unlinked(tx, user, at).await?;
    Ok(external_flow::keep_profile(tx, flow.id, &link::keep(auth, flow.id, profile)?).await?)
}

/// Seals the provider's tokens until the code is exchanged.
async fn keep(auth: &Auth, tx: &Transaction<'_>, flow: Uuid, tokens: &Tokens) -> Result<(), Fault> {
    let seal =
        |secret: &Secret, what: &str| sealed::seal(auth, secret.expose().as_bytes(), &flow_label(flow, what));
    let access = seal(&tokens.access_token, "access_token")?;
    let refresh = tokens.refresh_token.as_ref().map(|token| seal(token, "refresh_token")).transpose()?;
    external_flow::keep_tokens(tx, flow, &access, refresh.as_deref()).await
}

/// First and last name of Apple's `user`.
fn name(user: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct AppleUser {
        name: AppleName,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct AppleName {
        #[serde(default)]
        first_name: String,
        #[serde(default)]
        last_name: String,
    }
    let AppleUser { name } = serde_json::from_str(user).ok()?;
    let name = format!("{} {}", name.first_name, name.last_name);
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
