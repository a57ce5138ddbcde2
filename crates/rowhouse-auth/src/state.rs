//! State of the routes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use rowhouse_crypto::webauthn::RelyingParty;
use rowhouse_crypto::{CodeKey, CounterKey, Envelope};
use rowhouse_db::{Control, Lookups};
use rowhouse_http::limit::{AddressLimit, LimitName, Quota, Rates};
use rowhouse_jobs::outbound::Outbound;
use rowhouse_kernel::{SharedClock, SharedRng};
use rowhouse_mail::Mailer;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::breach::BreachList;
use crate::captcha::Captcha;
use crate::hasher::Hasher;
use crate::hook::Hooks;
use crate::key_store::KeyStore;
use crate::letter::Letters;
use crate::letter_limit::LetterLimit;
use crate::limit::{self, ClientLimit};
use crate::oauth::known::KnownSecrets;
use crate::pace::Pace;
use crate::provider::Directory;
use crate::redirect::RedirectTargets;
use crate::settings::{
    AuthHookSettings, AuthSettings, MfaSettings, NotificationSettings, OauthServerSettings, SmsSettings,
};
use crate::sms::Sms;
use crate::webauthn::{self, Terms};

const ANONYMOUS: LimitName = LimitName::new("anonymous");
const REGISTRATION: LimitName = LimitName::new("oauth_registration");

/// The parts of [`Auth`].
#[derive(Debug)]
pub struct AuthParts {
    /// The control plane's pool.
    pub control: Control,
    /// Its reads by one statement.
    pub lookups: Lookups,
    /// The signing keys, opened with the same settings.
    pub keys: KeyStore,
    /// `[auth]`.
    pub settings: AuthSettings,
    /// `[auth_hooks]`.
    pub hooks: AuthHookSettings,
    /// The client for HTTP hooks.
    pub outbound: Outbound,
    /// `[auth]`, second factors.
    pub mfa: MfaSettings,
    /// `[auth]`, letters about changes.
    pub notifications: NotificationSettings,
    /// `[auth_oauth]`.
    pub oauth: OauthServerSettings,
    /// `[auth_sms]`.
    pub sms: SmsSettings,
    /// The URL under which users reach the server, without a trailing slash.
    pub public_url: String,
    /// Writes letters.
    pub mailer: Mailer,
    /// Whether providers from the admin API may live at private addresses: `jobs.allow_private_urls`.
    pub allow_private_urls: bool,
    /// Where requests are counted.
    pub rates: Rates,
    /// The time.
    pub clock: SharedClock,
    /// For ids, salts and refresh tokens.
    pub rng: SharedRng,
}

/// The identity service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Auth {
    pub(crate) control: Control,
    pub(crate) lookups: Lookups,
    pub(crate) keys: KeyStore,
    pub(crate) settings: Arc<AuthSettings>,
    pub(crate) mfa: Arc<MfaSettings>,
    pub(crate) notifications: Arc<NotificationSettings>,
    pub(crate) oauth: Arc<OauthServerSettings>,
    pub(crate) relying_party: Arc<RelyingParty>,
    /// The front end's URL.
    pub(crate) site: Arc<str>,
    /// `iss` of every token.
    pub(crate) issuer: Arc<str>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    /// Signs refresh tokens.
    pub(crate) refresh_key: Arc<CounterKey>,
    /// Signs those of applications.
    pub(crate) client_refresh_key: Arc<CounterKey>,
    /// Makes the digests of codes that people type in.
    pub(crate) codes: Arc<CodeKey>,
    /// Seals what is stored and needed again in plain: secrets of second factors, tokens of providers.
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) targets: Arc<RedirectTargets>,
    /// What providers of external sign-in publish.
    pub(crate) providers: Arc<Directory>,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) captcha: Option<Arc<Captcha>>,
    pub(crate) breaches: Arc<BreachList>,
    pub(crate) signin_limit: Arc<ClientLimit>,
    pub(crate) refresh_limit: Arc<ClientLimit>,
    pub(crate) anonymous_limit: AddressLimit,
    /// Of applications, as they were read last.
    pub(crate) known_secrets: Arc<KnownSecrets>,
    /// Of applications that register themselves.
    pub(crate) registration_limit: AddressLimit,
    pub(crate) letters: Letters,
    pub(crate) letter_limit: Arc<LetterLimit>,
    /// Of requests for letters.
    pub(crate) letter_pace: Arc<Pace>,
    /// Of verifications by code.
    pub(crate) code_pace: Arc<Pace>,
    pub(crate) mfa_limit: Arc<ClientLimit>,
    /// Messages to phones.
    pub(crate) sms: Arc<Sms>,
}

impl FromRef<Auth> for Control {
    fn from_ref(auth: &Auth) -> Self {
        auth.control.clone()
    }
}

impl Auth {
    /// Builds the service.
    ///
    /// # Errors
    /// If TLS cannot be set up for requests to providers.
    pub fn new(parts: AuthParts) -> Result<Self, String> {
        let AuthParts {
            control,
            lookups,
            keys,
            settings,
            mfa,
            notifications,
            oauth,
            sms,
            hooks,
            outbound,
            public_url,
            allow_private_urls,
            mailer,
            rates,
            clock,
            rng,
        } = parts;
        let sms = Sms::new(sms, outbound.clone(), control.clone(), &rates, (clock.clone(), rng.clone()));
        let sources = (clock.clone(), rng.clone());
        let hooks = Arc::new(Hooks::new(hooks, control.clone(), outbound, keys.envelope(), sources));
        let site = settings.site_url.clone().unwrap_or_else(|| public_url.clone());
        let issuer = issuer(&public_url);
        Ok(Self {
            providers: Arc::new(Directory::new(allow_private_urls, clock.clone())?),
            letters: Letters::new(mailer, &hooks, &site, &issuer),
            letter_limit: Arc::new(LetterLimit::new(&settings, &rates)),
            anonymous_limit: hourly(ANONYMOUS, settings.anonymous_rate_per_hour, &rates),
            letter_pace: Arc::default(),
            code_pace: Arc::default(),
            issuer: issuer.into(),
            refresh_key: keys.refresh_keys().own,
            client_refresh_key: keys.refresh_keys().client,
            registration_limit: hourly(REGISTRATION, oauth.registration_rate_per_hour, &rates),
            known_secrets: Arc::default(),
            oauth: Arc::new(oauth),
            hooks,
            codes: Arc::new(keys.code_key()),
            envelope: keys.envelope(),
            targets: Arc::new(RedirectTargets::new(&site, &settings.redirect_urls)),
            captcha: Captcha::new(&settings).map(Arc::new),
            breaches: Arc::new(BreachList::new(&settings)),
            hasher: Arc::new(Hasher::new(&settings, rng.clone())),
            signin_limit: Arc::new(ClientLimit::new(limit::SIGN_IN, settings.signin_rate_per_5min, &rates)),
            refresh_limit: Arc::new(ClientLimit::new(limit::REFRESH, settings.token_rate_per_5min, &rates)),
            mfa_limit: Arc::new(ClientLimit::new(limit::MFA, mfa.mfa_rate_per_5min, &rates)),
            relying_party: Arc::new(webauthn::relying_party(&mfa, &site)),
            mfa: Arc::new(mfa),
            notifications: Arc::new(notifications),
            sms: Arc::new(sms),
            site: site.into(),
            settings: Arc::new(settings),
            control,
            lookups,
            keys,
            clock,
            rng,
        })
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// What browsers are told in WebAuthn ceremonies.
    pub(crate) fn terms(&self) -> Terms<'_> {
        let id = self.relying_party.id.as_str();
        let name = self.mfa.webauthn_rp_display_name.as_deref().unwrap_or(id);
        Terms { id, name, time: self.mfa.mfa_challenge_expiry }
    }

    pub(crate) fn new_id(&self) -> Uuid {
        rowhouse_kernel::new_id(&*self.clock, &*self.rng)
    }
}

fn hourly(name: LimitName, rate: u32, rates: &Rates) -> AddressLimit {
    let quota = Quota::new(rate, Duration::from_hours(1));
    AddressLimit::new(name, quota, rates.limiter())
}

/// The issuer of tokens for a server at `public_url`.
pub(crate) fn issuer(public_url: &str) -> String {
    format!("{}/auth/v1", public_url.trim_end_matches('/'))
}
