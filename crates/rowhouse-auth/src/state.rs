//! State of the routes.

use std::sync::Arc;

use axum::extract::FromRef;
use rowhouse_crypto::{CodeKey, CounterKey, Envelope};
use rowhouse_db::Control;
use rowhouse_jobs::outbound::Outbound;
use rowhouse_kernel::{SharedClock, SharedRng};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::breach::BreachList;
use crate::captcha::Captcha;
use crate::hasher::Hasher;
use crate::hook::Hooks;
use crate::key_store::KeyStore;
use crate::limit::ClientLimit;
use crate::redirect::RedirectTargets;
use crate::settings::{AuthHookSettings, AuthSettings};

/// The parts of [`Auth`].
#[derive(Debug)]
pub struct AuthParts {
    /// The control plane's pool.
    pub control: Control,
    /// The signing keys, opened with the same settings.
    pub keys: KeyStore,
    /// `[auth]`.
    pub settings: AuthSettings,
    /// `[auth_hooks]`.
    pub hooks: AuthHookSettings,
    /// The client for HTTP hooks.
    pub outbound: Outbound,
    /// The URL under which users reach the server, without a trailing slash.
    pub public_url: String,
    /// The time.
    pub clock: SharedClock,
    /// For ids, salts and refresh tokens.
    pub rng: SharedRng,
}

/// The identity service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Auth {
    pub(crate) control: Control,
    pub(crate) keys: KeyStore,
    pub(crate) settings: Arc<AuthSettings>,
    /// `iss` of every token.
    pub(crate) issuer: Arc<str>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    /// Signs refresh tokens.
    pub(crate) refresh_key: Arc<CounterKey>,
    /// Makes the digests of codes that people type in.
    pub(crate) codes: Arc<CodeKey>,
    /// Seals what is stored and needed again in plain: secrets of second factors, tokens of providers.
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) targets: Arc<RedirectTargets>,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) captcha: Option<Arc<Captcha>>,
    pub(crate) breaches: Arc<BreachList>,
    pub(crate) signin_limit: Arc<ClientLimit>,
    pub(crate) refresh_limit: Arc<ClientLimit>,
}

impl FromRef<Auth> for Control {
    fn from_ref(auth: &Auth) -> Self {
        auth.control.clone()
    }
}

impl Auth {
    /// Builds the service.
    #[must_use]
    pub fn new(parts: AuthParts) -> Self {
        let AuthParts { control, keys, settings, hooks, outbound, public_url, clock, rng } = parts;
        let hooks = Hooks::new(hooks, control.clone(), outbound, clock.clone(), rng.clone());
        let site = settings.site_url.clone().unwrap_or_else(|| public_url.clone());
        Self {
            issuer: issuer(&public_url).into(),
            refresh_key: keys.refresh_key(),
            hooks: Arc::new(hooks),
            codes: Arc::new(keys.code_key()),
            envelope: keys.envelope(),
            targets: Arc::new(RedirectTargets::new(&site, &settings.redirect_urls)),
            captcha: Captcha::new(&settings).map(Arc::new),
            breaches: Arc::new(BreachList::new(&settings)),
            hasher: Arc::new(Hasher::new(&settings, rng.clone())),
            signin_limit: Arc::new(ClientLimit::new("signin", settings.signin_rate_per_5min, clock.clone())),
            refresh_limit: Arc::new(ClientLimit::new("refresh", settings.token_rate_per_5min, clock.clone())),
            settings: Arc::new(settings),
            control,
            keys,
            clock,
            rng,
        }
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    pub(crate) fn new_id(&self) -> Uuid {
        rowhouse_kernel::new_id(&*self.clock, &*self.rng)
    }
}

/// The issuer of tokens for a server at `public_url`.
pub(crate) fn issuer(public_url: &str) -> String {
    format!("{}/auth/v1", public_url.trim_end_matches('/'))
}
