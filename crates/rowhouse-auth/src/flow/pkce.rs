//! The exchange of a code for a session (RFC 7636).

use rowhouse_crypto::digest_hex;
use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use time::{Duration, OffsetDateTime};

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::external::link::{self, LinkError};
use crate::flow::session::{self, Grant};
use crate::method::{Method, SignedInBy};
use crate::model::Session;
use crate::pkce::PkceError;
use crate::request::Client;
use crate::sealed;
use crate::sealed_text::flow_label;
use crate::store::flow_state::{self, FlowRow};
use crate::store::user_change;

/// How long a code may wait to be exchanged, as GoTrue has it.
const LIFETIME: Duration = Duration::minutes(5);

/// Why a code is not exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("invalid request: both auth code and code verifier should be non-empty")]
    Incomplete,
    /// No such code, or it was exchanged.
    #[error("invalid flow state, no valid flow state found")]
    NotFound,
    #[error("invalid flow state, flow state has expired")]
    Expired,
    #[error(transparent)]
    Verifier(#[from] PkceError),
    #[error("User is banned")]
    Banned,
    /// The sign-in was to link an identity.
    #[error(transparent)]
    Link(LinkError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(ExchangeError);

impl From<LinkError> for ExchangeError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Fault(fault) => fault.into(),
            error => Self::Link(error),
        }
    }
}

/// Exchanges a code once. A wrong verifier leaves it in place: it belongs to the client that has the right one.
pub(crate) async fn exchange(
    auth: &Auth,
    code: &str,
    verifier: &str,
    client: &Client,
) -> Result<Session, ExchangeError> {
    if code.is_empty() || verifier.is_empty() {
        return Err(ExchangeError::Incomplete);
    }
    let (digest, now) = (digest_hex(code), auth.now());
    let operation = client.operation("auth.exchange_code");
    let (service, from, verifier) = (auth.clone(), client.clone(), verifier.to_owned());
    let work = async move |tx: &Transaction<'_>| {
        let flow = flow_state::lock_by_code(tx, &digest).await?.ok_or(ExchangeError::NotFound)?;
        require_fresh(&flow, now)?;
        flow.challenge.as_ref().ok_or(ExchangeError::NotFound)?.require(&verifier)?;
        if let Some(user) = flow.link_to {
            link::finish(&service, tx, user, &flow, &from, now).await?;
        }
        let grant = open(&service, tx, &flow, &from, now).await?;
        Ok((grant, flow))
    };
    let (grant, flow): (Grant, FlowRow) = auth.control.run_tx::<_, ExchangeError>(&operation, work).await?;
    let access = open_token(auth, &flow, "access_token", flow.provider_access_token.as_deref())?;
    let refresh = open_token(auth, &flow, "refresh_token", flow.provider_refresh_token.as_deref())?;
    Ok(grant.sign(auth, client, now).await?.with_provider_tokens(access, refresh))
}

/// A token of the provider, if the sign-in was another one's.
fn open_token(
    auth: &Auth,
    flow: &FlowRow,
    what: &str,
    stored: Option<&str>,
) -> Result<Option<Secret>, Fault> {
    let Some(stored) = stored else { return Ok(None) };
    let plain = sealed::open(auth, stored, &flow_label(flow.id, what))?;
    Ok(plain.and_then(|plain| std::str::from_utf8(&plain).map(Secret::new).ok()))
}

fn require_fresh(flow: &FlowRow, now: OffsetDateTime) -> Result<(), ExchangeError> {
    let issued = flow.issued_at.ok_or(ExchangeError::NotFound)?;
    if issued + LIFETIME < now { Err(ExchangeError::Expired) } else { Ok(()) }
}

async fn open(
    auth: &Auth,
    tx: &Transaction<'_>,
    flow: &FlowRow,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Grant, ExchangeError> {
    let user = flow.user_id.ok_or(ExchangeError::NotFound)?;
    let method = Method::parse(&flow.method).ok_or(ExchangeError::NotFound)?;
    let provider = (method == Method::Oauth).then_some(flow.provider.as_str());
    user_change::note_sign_in_time(tx, user, now).await?;
    let grant = session::open(auth, tx, user, SignedInBy { method, provider }, client, now).await?;
    let grant = grant.filter(|grant| grant.user.deleted_at.is_none()).ok_or(ExchangeError::NotFound)?;
    if grant.user.is_banned(now) {
        return Err(ExchangeError::Banned);
    }
    flow_state::delete(tx, flow.id).await?;
    Ok(grant)
}
