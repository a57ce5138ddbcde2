//! The redirect to a provider. Its state belongs to the browser that is redirected: somebody else's way back, opened in
//! that browser, signs nobody in.

use rowhouse_crypto::{OpaqueSecret, sha256_base64url};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::find::FindError;
use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::live::NotLive;
use crate::pkce::Challenge;
use crate::provider::{Provider, ProviderError, Redirect};
use crate::request::Client;
use crate::sealed;
use crate::sealed_text::flow_label;
use crate::store::external_flow::{self, NewExternalFlow};

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) provider: Provider,
    pub(crate) told: Told,
    /// The client's own challenge: it exchanges a code in the end.
    pub(crate) challenge: Option<Challenge>,
    /// Where the answer is redirected to; allowed.
    pub(crate) referrer: String,
    /// SHA-256 of what the browser keeps.
    pub(crate) browser: String,
}

/// What of a request is told to the provider.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) scopes: Vec<String>,
    /// Further parameters.
    pub(crate) params: Vec<(String, String)>,
}

/// Why there is no redirect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("Manual linking is disabled")]
    LinkingDisabled,
    /// The URL that begins a link is unknown, used or too old.
    #[error("OAuth state not found or expired")]
    UnknownLink,
    #[error(transparent)]
    NotLive(#[from] NotLive),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("Unable to reach the provider")]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(BeginError);

/// What the callback needs and nobody else may know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ProviderState {
    pub(super) nonce: String,
    pub(super) verifier: String,
}

impl ProviderState {
    /// Each two secrets long: a verifier has at least 43 characters (RFC 7636 section 4.1).
    pub(super) fn new(auth: &Auth) -> Self {
        let text = || {
            let (one, two) = (OpaqueSecret::generate(&*auth.rng), OpaqueSecret::generate(&*auth.rng));
            format!("{}{}", one.expose(), two.expose())
        };
        Self { nonce: text(), verifier: text() }
    }

    pub(super) fn seal(&self, auth: &Auth, flow: Uuid) -> Result<String, Fault> {
        let plain = serde_json::to_vec(self).map_err(Fault::Json)?;
        sealed::seal(auth, &plain, &flow_label(flow, "provider_state"))
    }

    pub(super) fn open(auth: &Auth, flow: Uuid, stored: &str) -> Result<Self, Fault> {
        let plain = sealed::open(auth, stored, &flow_label(flow, "provider_state"))?;
        serde_json::from_slice(plain.as_deref().map_or(&[], Vec::as_slice)).map_err(Fault::Json)
    }
}

/// Where providers send browsers back to.
pub(super) fn callback_url(auth: &Auth, own: Option<&str>) -> String {
    own.map_or_else(|| format!("{}/callback", auth.issuer), str::to_owned)
}

/// Where a sign-in begins: beside the callback, so that the browser returns what it was given here.
pub(crate) fn entry_url(auth: &Auth, provider: &Provider) -> String {
    let back = callback_url(auth, provider.redirect_uri.as_deref());
    format!("{}/authorize", back.strip_suffix("/callback").unwrap_or(&auth.issuer))
}

/// The URL at the provider.
pub(super) async fn provider_url(
    auth: &Auth,
    provider: &Provider,
    (state, own): (&str, &ProviderState),
    told: &Told,
) -> Result<String, BeginError> {
    let redirect = Redirect {
        back: &callback_url(auth, provider.redirect_uri.as_deref()),
        state,
        nonce: &own.nonce,
        challenge: &sha256_base64url(own.verifier.as_bytes()),
        scopes: &told.scopes,
        params: &told.params,
    };
    Ok(auth.providers.authorization_url(provider, redirect).await?)
}

/// The URL at the provider. What the callback needs is kept under the digest of the state.
pub(crate) async fn begin(auth: &Auth, begin: Begin, client: &Client) -> Result<String, BeginError> {
    let (state, own, id) = (OpaqueSecret::generate(&*auth.rng), ProviderState::new(auth), auth.new_id());
    let url = provider_url(auth, &begin.provider, (state.expose(), &own), &begin.told).await?;
    let new = NewExternalFlow {
        id,
        state_digest: state.digest(),
        browser_digest: Some(begin.browser),
        provider: begin.provider.name,
        challenge: begin.challenge,
        referrer: begin.referrer,
        link_to: None,
        provider_state: own.seal(auth, id)?,
    };
    let now = auth.now();
    let insert = async move |db: &tokio_postgres::Client| external_flow::insert(db, &new, now).await;
    auth.control.statement(&client.operation("auth.begin_external"), insert).await?;
    Ok(url)
}
