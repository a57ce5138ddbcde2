//! The published endpoints and keys of issuers, fetched when needed and kept for a while.
//!
//! Every request is bounded in time and size and follows no redirect. An issuer that does not answer is not asked again
//! for some seconds, and one whose keys do not fit a token not more often than twice a minute: forged tokens must not
//! become requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rowhouse_crypto::{IdToken, TokenError, TrustedKeys};
use rowhouse_jobs::outbound::{Fetch, Outbound, OutboundResponse};
use rowhouse_kernel::SharedClock;
use serde::Deserialize;
use time::OffsetDateTime;

use super::claim::check;
use super::{Expected, Issuers, Protocol, Provider, ProviderError};

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(4);
/// How long endpoints and keys are kept.
const FRESH: Duration = Duration::from_secs(3600);
/// Pause between two requests for keys because a token names an unknown one.
const KEY_PAUSE: Duration = Duration::from_secs(30);
/// Pause after a request that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(3);
/// How long older ones serve while the issuer does not answer.
const STALE: Duration = Duration::from_secs(86_400);
/// Most issuers kept.
const MOST_ISSUERS: usize = 256;

/// Who has named the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Trust {
    /// The operator, in the configuration: they may lie in a private network.
    Operator,
    /// The admin API: only public ones, unless `jobs.allow_private_urls`.
    Api,
}

/// What an issuer publishes (OpenID Connect Discovery, section 3), as far as it is used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) jwks_uri: String,
    #[serde(default)]
    pub(crate) userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// Issuers by trust and address; each is locked while it is asked.
type IssuersInUse = HashMap<(Trust, String), Arc<tokio::sync::Mutex<Issuer>>>;

/// The issuers in use.
#[derive(Debug)]
pub(crate) struct Directory {
    operator: Outbound,
    api: Outbound,
    clock: SharedClock,
    issuers: Mutex<IssuersInUse>,
}

#[derive(Debug, Default)]
struct Issuer {
    metadata: Kept<Metadata>,
    keys: Kept<TrustedKeys>,
}

/// A value with the time of the last request for it.
#[derive(Debug)]
struct Kept<T> {
    value: Option<Arc<T>>,
    asked: Option<OffsetDateTime>,
    /// When the value was got.
    got: Option<OffsetDateTime>,
    /// Why the last request failed.
    failure: Option<ProviderError>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: None, asked: None, got: None, failure: None }
    }
}

impl<T> Kept<T> {
    fn age(&self, now: OffsetDateTime) -> Duration {
        self.asked.map_or(Duration::MAX, |asked| (now - asked).unsigned_abs())
    }

    /// What is known, unless it is time to ask: a fresh value, or a recent failure.
    fn known(&self, now: OffsetDateTime) -> Option<Result<Arc<T>, ProviderError>> {
        let age = self.age(now);
        match (&self.value, &self.failure) {
            (Some(value), None) if age < FRESH => Some(Ok(Arc::clone(value))),
            // An older value outlives its issuer's absence.
            (Some(value), Some(_)) if age < FAILURE_PAUSE => Some(Ok(Arc::clone(value))),
            (None, Some(failure)) if age < FAILURE_PAUSE => Some(Err(failure.clone())),
            _ => None,
        }
    }

    fn keep(&mut self, got: Result<T, ProviderError>, now: OffsetDateTime) -> Result<Arc<T>, ProviderError> {
        self.asked = Some(now);
        match got {
            Ok(value) => {
                (self.failure, self.got) = (None, Some(now));
                Ok(Arc::clone(self.value.insert(Arc::new(value))))
            }
            Err(failure) => {
                self.failure = Some(failure.clone());
                self.value.take_if(|_| self.got.is_none_or(|got| now - got > STALE));
                self.value.clone().ok_or(failure)
            }
        }
    }
}

impl Directory {
    /// `allow_private` is for addresses from the admin API.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(crate) fn new(allow_private: bool, clock: SharedClock) -> Result<Self, String> {
        let (operator, api) = (Outbound::new(true)?, Outbound::new(allow_private)?);
        Ok(Self { operator, api, clock, issuers: Mutex::default() })
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// Sends one request; an answer that was cut off is none.
    pub(super) async fn fetch(
        &self,
        provider: &Provider,
        what: &'static str,
        fetch: Fetch<'_>,
    ) -> Result<OutboundResponse, ProviderError> {
        let outbound = match provider.trust {
            Trust::Operator => &self.operator,
            Trust::Api => &self.api,
        };
        let fetch = Fetch { timeout: TIMEOUT, ..fetch };
        let answer =
            outbound.fetch(fetch, &*self.clock).await.map_err(|error| provider.unusable(what, error))?;
        if answer.is_cut { Err(provider.unusable(what, "the answer is too large")) } else { Ok(answer) }
    }

    /// GET; anything but 200 is a failure.
    pub(super) async fn get(
        &self,
        provider: &Provider,
        what: &'static str,
        url: &str,
        bearer: Option<&str>,
    ) -> Result<Vec<u8>, ProviderError> {
        let mut headers = vec![("accept", "application/json".to_owned())];
        headers.extend(bearer.map(|token| ("authorization", format!("Bearer {token}"))));
        let answer = self.fetch(provider, what, Fetch { url, headers, ..Fetch::default() }).await?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(provider.unusable(what, format!("status {status}"))),
        }
    }

    /// The endpoints that the issuer publishes.
    pub(crate) async fn metadata(
        &self,
        provider: &Provider,
        issuers: &Issuers,
        url: &str,
    ) -> Result<Arc<Metadata>, ProviderError> {
        let issuer = self.issuer(provider.trust, url);
        let mut issuer = issuer.lock().await;
        self.metadata_of(&mut issuer, provider, issuers, url).await
    }

    async fn metadata_of(
        &self,
        issuer: &mut Issuer,
        provider: &Provider,
        issuers: &Issuers,
        url: &str,
    ) -> Result<Arc<Metadata>, ProviderError> {
        let now = self.now();
        if let Some(known) = issuer.metadata.known(now) {
            return known;
        }
        let got = self.discover(provider, issuers, url).await;
        issuer.metadata.keep(got, now)
    }

    async fn discover(
        &self,
        provider: &Provider,
        issuers: &Issuers,
        url: &str,
    ) -> Result<Metadata, ProviderError> {
        let what = "discovery document";
        let body = self.get(provider, what, url, None).await?;
        let metadata = read(&body).map_err(|error| provider.unusable(what, error))?;
        let is_its_own = match issuers {
            Issuers::Of(known) => known.contains(&metadata.issuer),
            Issuers::AnyDirectory => true,
        };
        if is_its_own { Ok(metadata) } else { Err(provider.unusable(what, "it is of another issuer")) }
    }

    /// Verifies an ID token: signature, time and claims.
    pub(crate) async fn verify(
        &self,
        provider: &Provider,
        (issuers, url): (&Issuers, &str),
        token: &str,
        expected: Expected<'_>,
    ) -> Result<IdToken, ProviderError> {
        // Nothing is fetched for the sake of a text that is no token.
        TrustedKeys::require_form_of_id_token(token).map_err(|error| provider.bad_token(error))?;
        let issuer = self.issuer(provider.trust, url);
        let mut keys = self.keys(&mut *issuer.lock().await, provider, (issuers, url), FRESH).await?;
        let mut read = keys.verify_id_token(token, self.now());
        if matches!(read, Err(TokenError::UnknownKey)) {
            keys = self.keys(&mut *issuer.lock().await, provider, (issuers, url), KEY_PAUSE).await?;
            read = keys.verify_id_token(token, self.now());
        }
        let read = read.map_err(|error| provider.bad_token(error))?;
        check(&read, issuers, expected).map_err(|error| provider.bad_token(error))?;
        Ok(read)
    }

    /// The issuer's keys, at most `age` old.
    async fn keys(
        &self,
        issuer: &mut Issuer,
        provider: &Provider,
        (issuers, url): (&Issuers, &str),
        age: Duration,
    ) -> Result<Arc<TrustedKeys>, ProviderError> {
        let now = self.now();
        if let Some(known) = issuer.keys.known(now).filter(|_| issuer.keys.age(now) < age) {
            return known;
        }
        let metadata = self.metadata_of(issuer, provider, issuers, url).await?;
        let what = "key set";
        let body = self.get(provider, what, &metadata.jwks_uri, None).await;
        let read = body.and_then(|body| {
            TrustedKeys::read_published(&body).map_err(|error| provider.unusable(what, error))
        });
        issuer.keys.keep(read, now)
    }

    /// Fetches the discovery document anew; it takes the place of an older one.
    pub(crate) async fn require_discovery(&self, provider: &Provider) -> Result<(), ProviderError> {
        let Protocol::Oidc { issuer, discovery_url } = &provider.protocol else { return Ok(()) };
        let got = self.discover(provider, issuer, discovery_url).await?;
        *self.issuer(provider.trust, discovery_url).lock().await = Issuer::default();
        self.issuer(provider.trust, discovery_url).lock().await.metadata.keep(Ok(got), self.now())?;
        Ok(())
    }

    fn issuer(&self, trust: Trust, url: &str) -> Arc<tokio::sync::Mutex<Issuer>> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (trust, url.to_owned());
        if issuers.len() >= MOST_ISSUERS && !issuers.contains_key(&key) {
            issuers.clear();
        }
        Arc::clone(issuers.entry(key).or_default())
    }
}

/// A discovery document.
fn read(body: &[u8]) -> Result<Metadata, serde_json::Error> {
    serde_json::from_slice(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::provider::claim::check_claims;
    use crate::provider::{Nonce, Profile, Shape};

    /// Values that claims may have where others are expected.
    fn value() -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(|truth| json!(truth)),
            any::<i64>().prop_map(|number| json!(number)),
            "\\PC{0,40}".prop_map(|text| json!(text)),
            Just(json!("web")),
            Just(json!("https://issuer.example")),
            proptest::collection::vec("(web|phone|x)", 0..3).prop_map(|list| json!(list)),
            Just(json!({ "a": { "b": [1, 2] } })),
        ]
    }

    proptest! {
        #[test]
        fn arbitrary_discovery_documents_are_read_or_refused(text in ".{0,200}", issuer in value(), endpoint in value()) {
            let _ = read(text.as_bytes());
            let document = json!({
                "issuer": issuer, "authorization_endpoint": endpoint, "token_endpoint": endpoint, "jwks_uri": endpoint,
                "token_endpoint_auth_methods_supported": issuer,
            });
            let read = read(document.to_string().as_bytes());
            prop_assert!(read.is_err() || issuer.is_string() && endpoint.is_string(), "{document}");
        }

        #[test]
        fn arbitrary_claims_of_an_id_token_are_accepted_for_this_client_alone(
            (iss, sub, aud) in (value(), value(), value()), (azp, nonce, email) in (value(), value(), value()), verified in value(),
        ) {
            let claims = json!({
                "iss": iss, "sub": sub, "aud": aud, "azp": azp, "nonce": nonce, "email": email, "email_verified": verified,
                "iat": 1, "exp": 2, "name": email, "picture": verified,
            });
            let claims = claims.as_object().cloned().unwrap_or_default();
            let client_ids = ["web".to_owned()];
            let expected = Expected { client_ids: &client_ids, nonce: Nonce::Sent("mine"), access_token: None };
            let issuers = Issuers::Of(vec!["https://issuer.example".to_owned()]);
            if check_claims(&claims, &issuers, expected).is_ok() {
                prop_assert_eq!((&iss, &nonce), (&json!("https://issuer.example"), &json!("mine")));
                prop_assert!(aud.to_string().contains("web"));
            }
            if let Some(profile) = Profile::of(claims, &Shape::default()) {
                prop_assert!(!profile.subject.is_empty() && (!profile.is_verified || profile.email.is_some()));
            }
        }
    }
}
