//! From a request's headers to a verified caller.

mod api_key;
mod foreign;
mod live_caller;
mod proven_live;
mod role_path;
mod service_key;

pub use api_key::{ApiKeys, PresentedKey};
pub use foreign::ForeignTokens;
pub(crate) use live_caller::look_up_session;
pub use live_caller::{LiveCaller, LiveCallerError, SESSION_ENDED};
pub use proven_live::ProvenLive;
pub use service_key::{ServiceKey, ServiceKeyError};

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue, header};
use metrics::{Counter, counter};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rowhouse_crypto::{ApiKey, KeyRing, TokenError, TokenSource, VerifiedToken};
use rowhouse_kernel::{
    ANON, AUTHENTICATED, Caller, OrganizationId, SERVICE_ROLE, SessionId, SharedClock, TenantId, UserId,
};

/// Bytes of verified tokens cached; the least used are evicted first.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// The result of authenticating a request; a request extension.
#[derive(Debug, Clone)]
pub enum Identity {
    /// A verified caller, or the anonymous one.
    Caller(Arc<Caller>),
    /// An API key was presented. On surfaces that accept one, the layer replaces it by its caller, or refuses it.
    ApiKey(PresentedKey),
    /// A token was presented and refused.
    Refused(TokenError),
}

impl Identity {
    /// The caller.
    ///
    /// # Errors
    /// Why the presented token was refused.
    pub fn caller(&self) -> Result<&Arc<Caller>, &TokenError> {
        match self {
            Self::Caller(caller) => Ok(caller),
            Self::ApiKey(_) => Err(&TokenError::MisplacedApiKey),
            Self::Refused(error) => Err(error),
        }
    }
}

/// Verifies tokens and caches the valid ones: checking a signature costs more than the rest of a request.
pub struct CallerResolver {
    ring: Arc<ArcSwap<KeyRing>>,
    foreign: ForeignTokens,
    clock: SharedClock,
    anonymous: Arc<Caller>,
    verified: Cache<Box<str>, Verified, ByBytes>,
    /// Cache lookups and hits, under PostgREST's names.
    asked: Counter,
    known: Counter,
}

#[derive(Clone)]
struct Verified {
    caller: Arc<Caller>,
    /// The ring that verified the token; with another ring it is verified again.
    ring: Arc<KeyRing>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Box<str>, Verified> for ByBytes {
    fn weight(&self, token: &Box<str>, verified: &Verified) -> u64 {
        (token.len() + verified.caller.claims.len() + 256) as u64
    }
}

impl CallerResolver {
    /// Verifies with the current ring in `ring`; tokens of other issuers also have to satisfy `foreign`.
    #[must_use]
    pub fn new(ring: Arc<ArcSwap<KeyRing>>, foreign: ForeignTokens, clock: SharedClock) -> Self {
        let verified = Cache::with_weighter(4096, CACHE_BYTES, ByBytes);
        let (asked, known) =
            (counter!("pgrst_jwt_cache_requests_total"), counter!("pgrst_jwt_cache_hits_total"));
        Self { ring, foreign, clock, anonymous: Arc::new(Caller::anonymous()), verified, asked, known }
    }

    /// A present `Authorization` decides: its bearer token, else the refusal. Without one, the JWT in `apikey`, else anon.
    ///
    /// With an `Authorization` that has no bearer token (empty, unreadable, another scheme) an `apikey` of the role
    /// `anon` is still accepted, since clients send both. A service key is not: servers send it in `apikey` while
    /// forwarding a visitor's `Authorization`.
    #[must_use]
    pub fn resolve(&self, headers: &HeaderMap) -> Identity {
        match authorization(headers) {
            Authorization::Bearer(token) => self.identify(token),
            Authorization::Absent => match api_key(headers) {
                Some(token) => self.identify(token),
                None => Identity::Caller(Arc::clone(&self.anonymous)),
            },
            Authorization::NoBearer(error) => match api_key(headers).map(|key| self.identify(key)) {
                Some(Identity::Caller(caller)) if caller.is_anonymous() => Identity::Caller(caller),
                Some(Identity::Refused(other)) => Identity::Refused(other),
                _ => Identity::Refused(error),
            },
        }
    }

    /// A token that begins like an API key is none of the ring's.
    fn identify(&self, token: &str) -> Identity {
        if ApiKey::is_meant(token) {
            let key = PresentedKey::parse(token);
            return key.map_or(Identity::Refused(TokenError::UnknownApiKey), Identity::ApiKey);
        }
        self.verify(token).map_or_else(Identity::Refused, Identity::Caller)
    }

    fn verify(&self, token: &str) -> Result<Arc<Caller>, TokenError> {
        let ring = self.ring.load();
        let now = self.clock.now();
        self.asked.increment(1);
        if let Some(known) = self.verified.get(token)
            && Arc::ptr_eq(&known.ring, &ring)
        {
            self.known.increment(1);
            return match known.caller.expires_at {
                Some(end) if end <= now => Err(TokenError::Expired),
                _ => Ok(known.caller),
            };
        }
        let caller = Arc::new(self.caller_of(ring.verify(token, now)?)?);
        self.verified.insert(token.into(), Verified { caller: Arc::clone(&caller), ring: Arc::clone(&ring) });
        Ok(caller)
    }
}

/// The content of the header `Authorization`.
enum Authorization<'a> {
    Absent,
    /// A bearer token, not empty.
    Bearer(&'a str),
    /// Something else, with the error to answer.
    NoBearer(TokenError),
}

fn authorization(headers: &HeaderMap) -> Authorization<'_> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Authorization::Absent };
    // Readers disagree on which of several counts.
    if values.next().is_some() {
        return Authorization::NoBearer(TokenError::Malformed);
    }
    match plain(value).and_then(strip_bearer) {
        Some("") => Authorization::NoBearer(TokenError::Empty),
        Some(token) => Authorization::Bearer(token),
        None => Authorization::NoBearer(TokenError::Malformed),
    }
}

/// An empty `apikey` counts as absent, since some clients send it; so do several.
fn api_key(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::HeaderName::from_static("apikey")).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    plain(value).map(str::trim).filter(|key| !key.is_empty())
}

/// The same as [`HeaderValue::to_str`], which looks at each byte: several times faster, and tokens are long.
fn plain(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.is_ascii())
}

/// The scheme is case-insensitive (RFC 9110 section 11.1).
fn strip_bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// An optional claim that must be a UUID.
fn id<T: std::str::FromStr>(token: &VerifiedToken, claim: &'static str) -> Result<Option<T>, TokenError> {
    match token.text(claim) {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| TokenError::NotAUuid(claim)),
    }
}

impl CallerResolver {
    /// Only tokens of this installation name a session. A user token without one could never be revoked and is refused.
    fn caller_of(&self, mut token: VerifiedToken) -> Result<Caller, TokenError> {
        let role: Arc<str> = match token.source.is_foreign() {
            true => self.foreign.admit(&mut token)?.into(),
            false => token.text("role").filter(|role| !role.is_empty()).unwrap_or(ANON).into(),
        };
        let session: Option<SessionId> = id(&token, "session_id")?;
        let user: Option<UserId> = match token.text("sub") {
            // Projects that sign their own tokens may use subjects that are not in `auth.users`.
            Some(_) if token.source.is_foreign() && &*role != AUTHENTICATED => None,
            _ => id(&token, "sub")?,
        };
        match token.source {
            TokenSource::Access if session.is_none() => return Err(TokenError::MissingClaim("session_id")),
            TokenSource::Access if user.is_none() => return Err(TokenError::MissingClaim("sub")),
            TokenSource::Api if !matches!(&*role, ANON | SERVICE_ROLE) => return Err(TokenError::Malformed),
            _ => {}
        }
        Ok(Caller {
            organization: id::<OrganizationId>(&token, "org_id")?,
            tenant: id::<TenantId>(&token, "tenant_id")?,
            claims: token.json.into(),
            expires_at: token.expires_at,
            role,
            user,
            session,
            api_key: None,
        })
    }
}

#[cfg(test)]
mod tests;
