//! The redirect to a provider.

use rowhouse_crypto::{OpaqueSecret, sha256_base64url};
use rowhouse_db::Transaction;
use serde::{Deserialize, Serialize};

use super::find::{self, FindError};
use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::pkce::label;
use crate::live::{NotLive, require_live};
use crate::pkce::Challenge;
use crate::provider::{ProviderError, Redirect};
use crate::request::{Client, SignedIn};
use crate::sealed;
use crate::store::external_flow::{self, NewExternalFlow};
use crate::store::user;

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) provider: String,
    pub(crate) scopes: Vec<String>,
    /// The client's own challenge: it exchanges a code in the end.
    pub(crate) challenge: Option<Challenge>,
    /// Where the answer is redirected to; allowed.
    pub(crate) referrer: String,
    /// Further parameters for the provider.
    pub(crate) params: Vec<(String, String)>,
    /// The user who links an identity.
    pub(crate) link_to: Option<SignedIn>,
}

/// Why there is no redirect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("Manual linking is disabled")]
    LinkingDisabled,
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
    fn new(auth: &Auth) -> Self {
        let text = || {
            let (one, two) = (OpaqueSecret::generate(&*auth.rng), OpaqueSecret::generate(&*auth.rng));
            format!("{}{}", one.expose(), two.expose())
        };
        Self { nonce: text(), verifier: text() }
    }
}

/// Where providers send browsers back to.
pub(super) fn callback_url(auth: &Auth, own: Option<&str>) -> String {
    own.map_or_else(|| format!("{}/callback", auth.issuer), str::to_owned)
}

/// The URL at the provider. What the callback needs is kept under the digest of the state.
pub(crate) async fn begin(auth: &Auth, begin: Begin, client: &Client) -> Result<String, BeginError> {
    if begin.link_to.is_some() && !auth.settings.manual_linking {
        return Err(BeginError::LinkingDisabled);
    }
    let provider = find::provider(auth, &begin.provider, client).await?;
    let (state, own, id) = (OpaqueSecret::generate(&*auth.rng), ProviderState::new(auth), auth.new_id());
    let redirect = Redirect {
        back: &callback_url(auth, provider.redirect_uri.as_deref()),
        state: state.expose(),
        nonce: &own.nonce,
        challenge: &sha256_base64url(own.verifier.as_bytes()),
        scopes: &begin.scopes,
        params: &begin.params,
    };
    let url = auth.providers.authorization_url(&provider, redirect).await?;
    let plain = serde_json::to_vec(&own).map_err(Fault::Json)?;
    let new = NewExternalFlow {
        id,
        state_digest: state.digest(),
        provider: provider.name,
        challenge: begin.challenge,
        referrer: begin.referrer,
        link_to: begin.link_to.map(|caller| caller.user.0),
        provider_state: sealed::seal(auth, &plain, &label(id, "provider_state"))?,
    };
    let now = auth.now();
    let link_to = begin.link_to;
    let work = async move |tx: &Transaction<'_>| {
        if let Some(caller) = link_to {
            let session = caller.session.map(|session| session.0);
            require_live(user::find_live(tx, caller.user.0, session).await?, caller, now)?;
        }
        Ok::<_, BeginError>(external_flow::insert(tx, &new, now).await?)
    };
    auth.control.run_tx(&client.operation("auth.begin_external"), work).await?;
    Ok(url)
}
