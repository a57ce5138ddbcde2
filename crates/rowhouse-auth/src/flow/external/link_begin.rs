//! The beginning of a link by hand. The client that asks for it is signed in but often no browser, and its answer sets no
//! cookie, so it gets a URL of this server. The browser that opens it is the one that has to come back. With a code
//! challenge the link takes effect at the exchange, which only the client can do that asked. Without one, somebody could
//! be lured to the URL and would add their identity to a stranger's account: a page shows them whose account it is.

use rowhouse_crypto::{OpaqueSecret, digest_hex};
use rowhouse_db::Transaction;

use super::begin::{BeginError, ProviderState, Told, provider_url};
use super::callback::LIFETIME;
use super::find;
use crate::Auth;
use crate::fault::Fault;
use crate::live::require_strong;
use crate::pkce::Challenge;
use crate::provider::Provider;
use crate::request::{Client, SignedIn};
use crate::store::external_flow::{self, NewExternalFlow, WaitingLink};
use crate::store::user;

/// A link that a user asks for.
#[derive(Debug)]
pub(crate) struct NewLink {
    pub(crate) caller: SignedIn,
    pub(crate) provider: Provider,
    pub(crate) challenge: Option<Challenge>,
    /// Where the answer is redirected to; allowed.
    pub(crate) referrer: String,
}

/// Refuses where users may not link.
pub(crate) fn require_linking(auth: &Auth) -> Result<(), BeginError> {
    if auth.settings.manual_linking { Ok(()) } else { Err(BeginError::LinkingDisabled) }
}

/// Keeps the link; the state is for the URL that begins it.
pub(crate) async fn start(auth: &Auth, link: NewLink, client: &Client) -> Result<OpaqueSecret, BeginError> {
    let (state, id, caller) = (OpaqueSecret::generate(&*auth.rng), auth.new_id(), link.caller);
    let new = NewExternalFlow {
        id,
        state_digest: state.digest(),
        browser_digest: None,
        provider: link.provider.name,
        challenge: link.challenge,
        referrer: link.referrer,
        link_to: Some(caller.user.0),
        provider_state: ProviderState::new(auth).seal(auth, id)?,
    };
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        let session = caller.session.map(|session| session.0);
        require_strong(user::find_live(tx, caller.user.0, session).await?, caller, now)?;
        Ok::<_, BeginError>(external_flow::insert(tx, &new, now).await?)
    };
    auth.control.run_tx(&client.operation("auth.begin_link"), work).await?;
    Ok(state)
}

/// The link of a URL.
pub(crate) async fn find(auth: &Auth, state: &str, client: &Client) -> Result<WaitingLink, BeginError> {
    let digest = digest_hex(state);
    let look = async move |db: &tokio_postgres::Client| external_flow::find_link(db, &digest).await;
    let found: Result<_, Fault> = auth.control.statement(&client.operation("auth.find_link"), look).await;
    let link = found?.ok_or(BeginError::UnknownLink)?;
    if link.created_at + LIFETIME < auth.now() { Err(BeginError::UnknownLink) } else { Ok(link) }
}

/// Gives the link to the browser: the URL at the provider.
pub(crate) async fn open(
    auth: &Auth,
    (state, link): (&str, WaitingLink),
    browser: String,
    told: &Told,
    client: &Client,
) -> Result<String, BeginError> {
    let provider = find::provider(auth, &link.provider, client).await?;
    let own = ProviderState::open(auth, link.id, &link.provider_state)?;
    let url = provider_url(auth, &provider, (state, &own), told).await?;
    let give = async move |db: &tokio_postgres::Client| external_flow::give(db, link.id, &browser).await;
    let given: Result<_, Fault> = auth.control.statement(&client.operation("auth.open_link"), give).await;
    if given? { Ok(url) } else { Err(BeginError::UnknownLink) }
}
