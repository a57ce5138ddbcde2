//! The surface under test, and users' sessions.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use rowhouse_auth::{API_KEY_LIFETIME, Auth, AuthParts, AuthSettings, KeyStore, router};
use rowhouse_db::migrate::Migration;
use rowhouse_db::{Control, DbSettings};
use rowhouse_http::{CallerResolver, ClientAddress, ForeignTokens};
use rowhouse_kernel::{FakeClock, Origin, Secret, SharedClock, SystemRng};
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_postgres::Client;
use tower::ServiceExt as _;

pub(crate) const URL: &str = "http://127.0.0.1:54321";
pub(crate) const PASSWORD: &str = "correct horse";

/// One server on a database of its own, with a clock that stands still.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) keys: KeyStore,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) database: TestDatabase,
    pub(crate) service_key: String,
    /// The last part of the client's address.
    address: Arc<AtomicU8>,
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
        signin_rate_per_5min: 10_000,
        token_rate_per_5min: 10_000,
        ..AuthSettings::default()
    }
}

pub(crate) fn migrations() -> Vec<Migration> {
    Migration::embedded(&[
        rowhouse_db::MIGRATIONS,
        rowhouse_audit::MIGRATIONS,
        rowhouse_auth::MIGRATIONS,
        rowhouse_tenancy::MIGRATIONS,
        rowhouse_jobs::MIGRATIONS,
    ])
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: AuthSettings) -> Self {
        Self::on(TestDatabase::create(migrations()).await, settings).await
    }

    pub(crate) async fn on(database: TestDatabase, settings: AuthSettings) -> Self {
        let clock = FakeClock::at(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
        let rng = Arc::new(SystemRng);
        let address = Arc::new(AtomicU8::new(1));
        let control = Control::open(&database.urls.control, &DbSettings::default()).unwrap();
        let shared: SharedClock = clock.clone();
        let origin = Origin::system(&shared);
        let keys = KeyStore::open(control.clone(), &settings, origin.clone(), rng.clone()).await.unwrap();
        let resolver = Arc::new(CallerResolver::new(keys.shared(), ForeignTokens::default(), clock.clone()));
        let service_key = keys.issue_api_key("service_role", URL, API_KEY_LIFETIME).await.unwrap();
        let parts = AuthParts {
            control,
            keys: keys.clone(),
            settings,
            public_url: URL.to_owned(),
            clock: clock.clone(),
            rng,
        };
        let router = router(Auth::new(parts))
            .layer(from_fn_with_state((resolver, origin, address.clone()), introduce));
        Self { router, keys, clock, database, service_key, address }
    }

    /// The origin of operations outside requests.
    pub(crate) fn origin(&self) -> Origin {
        let clock: SharedClock = self.clock.clone();
        Origin::system(&clock)
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("x-supabase-api-version", "2024-01-01");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
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

    pub(crate) async fn sql(&self) -> Client {
        self.database.superuser().await
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

/// The extensions that the server's layer adds to every request.
async fn introduce(
    State((resolver, origin, last)): State<(Arc<CallerResolver>, Origin, Arc<AtomicU8>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let identity = resolver.resolve(request.headers());
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(origin);
    let last = last.load(Ordering::Relaxed);
    request.extensions_mut().insert(ClientAddress(IpAddr::from([192, 0, 2, last])));
    next.run(request).await
}
