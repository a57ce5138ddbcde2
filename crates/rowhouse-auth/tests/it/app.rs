//! The surface under test, and users' sessions.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Body, Method, RequestBuilder, StatusCode};
use rowhouse_auth::{API_KEY_LIFETIME, AuthHookSettings, AuthModule, AuthSettings, KeyStore, MfaSettings};
use rowhouse_http::ServerSettings;
use rowhouse_jobs::JobsModule;
use rowhouse_kernel::{FakeClock, Origin, Secret, SharedClock};
use rowhouse_mail::MailModule;
use rowhouse_module::{Assembly, Module, ModuleFuture, Modules, SearchPath};
use rowhouse_tenancy::TenancyModule;
use rowhouse_testkit::{Setup, TestApp, TestDatabase};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_postgres::Client;

pub(crate) const URL: &str = "http://rowhouse.test";
/// The header in which a proxy would tell the client's address.
const ADDRESS: &str = "x-real-ip";
pub(crate) const PASSWORD: &str = "correct horse";

/// Identity, and what it stands on, on a database of its own, with a clock that stands still.
pub(crate) struct App {
    app: TestApp,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) clock: Arc<FakeClock>,
    /// The last part of the client's address.
    address: Arc<AtomicU8>,
}

impl Deref for App {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

/// In the place of the data API: workers need the search path of the project's functions.
struct Paths;

impl Module for Paths {
    fn name(&self) -> &'static str {
        "paths"
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        assembly.provide(Arc::new(SearchPath("public".to_owned())));
        Box::pin(async { Ok(()) })
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) fn settings() -> AuthSettings {
    AuthSettings {
        key_secret: Some(Secret::new("a key secret of thirty-two characters")),
        mailer_autoconfirm: true,
        mailer_max_frequency: Duration::ZERO,
        email_rate_per_hour: 10_000,
        verify_page: false,
        signin_rate_per_5min: 10_000,
        token_rate_per_5min: 10_000,
        ..AuthSettings::default()
    }
}

pub(crate) fn mfa_settings() -> MfaSettings {
    MfaSettings { mfa_rate_per_5min: 10_000, ..MfaSettings::default() }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: AuthSettings) -> Self {
        Self::on(TestDatabase::create().await, settings).await
    }

    pub(crate) async fn on(db: TestDatabase, settings: AuthSettings) -> Self {
        Self::with_setup(db, settings, |_| {}).await
    }

    /// The same with hooks.
    pub(crate) async fn hooked(db: TestDatabase, settings: AuthSettings, hooks: AuthHookSettings) -> Self {
        Self::with_setup(db, settings, |setup| setup.settings.put(hooks)).await
    }

    /// The same with other settings of second factors.
    pub(crate) async fn with_mfa(mfa: MfaSettings) -> Self {
        let db = TestDatabase::create().await;
        Self::with_setup(db, settings(), |setup| setup.settings.put(mfa)).await
    }

    /// The same with further settings.
    pub(crate) async fn with_setup(
        db: TestDatabase,
        settings: AuthSettings,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
        let mut setup = Setup { clock: clock.clone(), ..Setup::default() };
        setup.settings.put(settings);
        setup.settings.put(mfa_settings());
        let header = Some(ADDRESS.to_owned());
        setup.settings.update(|server: &mut ServerSettings| server.client_address_header = header);
        change(&mut setup);
        let modules = Modules::new(vec![
            Box::new(TenancyModule),
            Box::new(AuthModule),
            Box::new(Paths),
            Box::new(JobsModule),
            Box::new(MailModule),
        ]);
        let app = TestApp::start(&modules, db, setup).await;
        Self { keys: app.provided(), app, clock, address: Arc::new(AtomicU8::new(1)) }
    }

    /// The origin of operations outside requests.
    pub(crate) fn origin(&self) -> Origin {
        let clock: SharedClock = self.clock.clone();
        Origin::system(&clock)
    }

    /// Below the surface's prefix.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let request = self.request(method, &format!("/auth/v1{path}"));
        let address = format!("192.0.2.{}", self.address.load(Ordering::Relaxed));
        let request = request.header(ADDRESS, address);
        let request = request.header("x-supabase-api-version", "2024-01-01").body(body);
        let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
        let answer = self.app.send(request).await;
        Answer { status: answer.status, body: answer.json(), headers: answer.headers }
    }

    /// A request as it is, with status and body.
    pub(crate) async fn app_send(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = self.app.send(request).await;
        (answer.status.as_u16(), answer.json())
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(Method::GET, path, Some(token), "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, None, body.to_string()).await
    }

    pub(crate) async fn post_as(&self, path: &str, token: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(token), body.to_string()).await
    }

    pub(crate) async fn delete_as(&self, path: &str, token: &str) -> Answer {
        self.send(Method::DELETE, path, Some(token), "").await
    }

    pub(crate) async fn put_as(&self, path: &str, token: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(token), body.to_string()).await
    }

    /// A new user's session.
    pub(crate) async fn sign_up(&self, email: &str) -> Person {
        Person(self.post("/signup", json!({ "email": email, "password": PASSWORD })).await.ok())
    }

    /// Another session.
    pub(crate) async fn sign_in(&self, email: &str) -> Person {
        Person(self.password(email, PASSWORD).await.ok())
    }

    pub(crate) async fn password(&self, email: &str, password: &str) -> Answer {
        self.post("/token?grant_type=password", json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.post("/token?grant_type=refresh_token", json!({ "refresh_token": token })).await
    }

    pub(crate) async fn anon_key(&self) -> String {
        self.keys.issue_api_key("anon", URL, API_KEY_LIFETIME).await.unwrap()
    }

    /// Requests come from 192.0.2.`last` from here on.
    pub(crate) fn come_from(&self, last: u8) {
        self.address.store(last, Ordering::Relaxed);
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time.try_into().unwrap());
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        rowhouse_kernel::Clock::now(&*self.clock).unix_timestamp()
    }

    pub(crate) async fn sql(&self) -> Client {
        self.db.superuser().await
    }
}

/// A user with a session.
#[derive(Debug, Clone)]
pub(crate) struct Person(pub(crate) Value);

impl Person {
    pub(crate) fn token(&self) -> &str {
        self.0["access_token"].as_str().unwrap()
    }

    pub(crate) fn refresh_token(&self) -> &str {
        self.0["refresh_token"].as_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.0["user"]["id"].as_str().unwrap()
    }

    /// The claims of the access token.
    pub(crate) fn claims(&self, app: &App) -> Value {
        let now = rowhouse_kernel::Clock::now(&*app.clock);
        Value::Object(app.keys.ring().verify(self.token(), now).unwrap().claims)
    }
}

impl Answer {
    /// The body of an answer that must be successful.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// The answer must be this error.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &Value::from(code)), "{}", self.body);
        assert_eq!(self.headers["x-sb-error-code"], code);
    }
}
