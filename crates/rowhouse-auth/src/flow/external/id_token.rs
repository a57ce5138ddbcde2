//! Sign-in with an ID token that the client has got from the provider itself.

use rowhouse_db::Transaction;
use uuid::Uuid;

use super::admit::{AdmitError, admit, announce};
use super::find::{self, FindError, LONGEST_NAME};
use super::link::{LinkError, link};
use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::new_user::tell_created;
use crate::flow::session;
use crate::live::{NotLive, require_strong};
use crate::method::{Method, SignedInBy};
use crate::model::Session;
use crate::provider::{Expected, Nonce, Profile, Protocol, Provider, ProviderError, known_issuer};
use crate::request::{Client, SignedIn};
use crate::store::user;

/// What the client sends.
#[derive(Debug)]
pub(crate) struct IdTokenGrant {
    /// Empty: found by the issuer.
    pub(crate) provider: String,
    pub(crate) issuer: String,
    pub(crate) id_token: String,
    pub(crate) access_token: Option<String>,
    pub(crate) nonce: String,
    /// The user to whom the identity is linked.
    pub(crate) link_to: Option<SignedIn>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdTokenError {
    #[error("id_token required")]
    NoToken,
    #[error("provider or client_id and issuer required")]
    NoProvider,
    #[error("Provider {0:?} is not an OIDC provider")]
    NotOidc(String),
    #[error("Custom OIDC provider {0:?} not allowed")]
    NotAllowed(String),
    #[error("Provider (issuer {0:?}) is not enabled")]
    Disabled(String),
    #[error("Provided issuer does not match ID token issuer")]
    OtherIssuer,
    #[error("Bad ID token")]
    BadToken(#[source] ProviderError),
    #[error("Unable to reach the provider")]
    Unreachable(#[source] ProviderError),
    #[error("Manual linking is disabled")]
    LinkingDisabled,
    #[error(transparent)]
    NotLive(#[from] NotLive),
    #[error(transparent)]
    Admit(#[from] AdmitError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(IdTokenError);

/// Opens a session for the person in the token, or links the identity and opens one for the caller.
pub(crate) async fn sign_in(
    auth: &Auth,
    grant: IdTokenGrant,
    client: &Client,
) -> Result<Session, IdTokenError> {
    if grant.id_token.is_empty() {
        return Err(IdTokenError::NoToken);
    }
    if grant.link_to.is_some() && !auth.settings.manual_linking {
        return Err(IdTokenError::LinkingDisabled);
    }
    let found = match (grant.provider.as_str(), grant.issuer.as_str()) {
        ("", "") => return Err(IdTokenError::NoProvider),
        ("", issuer) => find::provider_of_issuer(auth, issuer),
        (name, _) => find::provider(auth, name, client).await,
    };
    let provider = found.map_err(|error| not_found(error, &grant))?;
    let profile = verify(auth, &provider, &grant).await?;
    let new = match grant.link_to {
        Some(caller) => caller.user.0,
        None => announce(auth, &provider, &profile, client).await?,
    };
    let now = auth.now();
    let (service, from, link_to) = (auth.clone(), client.clone(), grant.link_to);
    let work = async move |tx: &Transaction<'_>| {
        let user: Uuid = match link_to {
            Some(caller) => {
                let session = caller.session.map(|session| session.0);
                require_strong(user::find_live(tx, caller.user.0, session).await?, caller, now)?;
                link(&service, tx, caller.user.0, (&provider.name, &profile), &from, now).await?;
                caller.user.0
            }
            None => admit(&service, tx, &provider, &profile, new, now).await?,
        };
        if link_to.is_none() && user == new {
            tell_created(&service, tx, user, &from).await?;
        }
        let by = SignedInBy { method: Method::Oauth, provider: Some(&provider.name) };
        let grant = session::open(&service, tx, user, by, &from, now).await?;
        Ok::<_, IdTokenError>(grant.ok_or(Fault::Vanished)?)
    };
    let opened = auth.control.run_tx(&client.operation("auth.sign_in_id_token"), work).await?;
    Ok(opened.sign(auth, client, now).await?)
}

/// In the words of this grant, which names the issuer.
fn not_found(error: FindError, grant: &IdTokenGrant) -> IdTokenError {
    match error {
        FindError::Unknown(name) => IdTokenError::NotAllowed(name),
        FindError::Disabled if grant.issuer.is_empty() => {
            IdTokenError::Disabled(known_issuer(&grant.provider.to_ascii_lowercase()).to_owned())
        }
        FindError::Disabled => IdTokenError::Disabled(grant.issuer.chars().take(LONGEST_NAME).collect()),
        FindError::Fault(fault) => fault.into(),
    }
}

async fn verify(auth: &Auth, provider: &Provider, grant: &IdTokenGrant) -> Result<Profile, IdTokenError> {
    let Protocol::Oidc { issuer, discovery_url } = &provider.protocol else {
        return Err(IdTokenError::NotOidc(provider.name.clone()));
    };
    let expected = Expected {
        client_ids: &provider.client_ids,
        nonce: if provider.skip_nonce_check { Nonce::Any } else { Nonce::HashOf(&grant.nonce) },
        access_token: grant.access_token.as_deref(),
    };
    let verified = auth.providers.verify(provider, (issuer, discovery_url), &grant.id_token, expected).await;
    let token = verified.map_err(|error| match error {
        ProviderError::IdToken { .. } => IdTokenError::BadToken(error),
        ProviderError::Unusable { .. } | ProviderError::Key { .. } => IdTokenError::Unreachable(error),
    })?;
    let names_another = !grant.issuer.is_empty()
        && token.claims.get("iss").and_then(|iss| iss.as_str()) != Some(&grant.issuer);
    if names_another {
        return Err(IdTokenError::OtherIssuer);
    }
    let profile = Profile::of(token.claims, &provider.shape);
    let nobody = ProviderError::IdToken { provider: provider.name.clone(), why: "it has no sub".to_owned() };
    profile.ok_or(IdTokenError::BadToken(nobody))
}
