//! Arranging: the program's modules on a database with a project's schema, and typed callers.

use std::ops::Deref;
use std::sync::Arc;

use reqwest::StatusCode;
use rowhouse::modules::modules;
use rowhouse_auth::{AuthSettings, KeyStore};
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{Modules, Roles};
pub(crate) use rowhouse_testkit::TestResponse;
use rowhouse_testkit::{Setup, TestDatabase};
use serde_json::{Value, json};

/// The example project's kind of schema: two tenant tables with a reference, one shared table, functions.
pub(crate) const PROJECT: &str = include_str!("project.sql");

/// Mail templates of the project's own.
const FILES: [(&str, &str); 7] = [
    ("mail/en/welcome.subject", "Welcome, {{ name }}"),
    ("mail/en/welcome.html", "<p>{{ name }}, since {{ year | default(\"ever\") }}</p>"),
    ("mail/en/letter.subject", "News"),
    ("mail/en/letter.txt", "Leave: {{ UnsubscribeURL }}"),
    ("mail/letter.json", "{}"),
    ("mail/de/welcome.subject", "Willkommen, {{ name }}"),
    ("mail/welcome.json", r#"{ "name": "Ada", "year": 1815 }"#),
];

/// The whole program.
pub(crate) struct TestApp {
    app: rowhouse_testkit::TestApp,
    pub(crate) keys: Arc<KeyStore>,
}

impl Deref for TestApp {
    type Target = rowhouse_testkit::TestApp;

    fn deref(&self) -> &Self::Target {
        &self.app
    }
}

pub(crate) fn settings() -> Settings {
    let mut settings = Setup::default().settings;
    settings.update(|auth: &mut AuthSettings| {
        auth.mailer_autoconfirm = true;
        auth.key_secret = Some(Secret::new("test-secret-0123456789012345678901234567"));
        (auth.signin_rate_per_5min, auth.token_rate_per_5min) = (100_000, 100_000);
    });
    settings
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(settings()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let db = TestDatabase::create().await;
        db.migrate(PROJECT).await;
        Self::start_on(db, settings).await
    }

    pub(crate) async fn start_on(db: TestDatabase, settings: Settings) -> Self {
        Self::start_as(db, settings, Setup::default().roles).await
    }

    /// A second process on the database of `other`.
    pub(crate) async fn start_beside(other: &Self) -> Self {
        Self::start_on(other.db.clone(), settings()).await
    }

    pub(crate) async fn start_as(db: TestDatabase, settings: Settings, roles: Roles) -> Self {
        Self::start_modules(&modules(), db, settings, roles).await
    }

    pub(crate) async fn start_modules(
        modules: &Modules,
        db: TestDatabase,
        settings: Settings,
        roles: Roles,
    ) -> Self {
        let live_sessions = settings.get::<AuthSettings>().live_sessions;
        let setup = Setup { settings, live_sessions, roles, files: FILES.to_vec(), ..Setup::default() };
        let app = rowhouse_testkit::TestApp::start(modules, db, setup).await;
        Self { keys: app.provided(), app }
    }

    /// Signs a new user up.
    pub(crate) async fn sign_up(&self, email: &str) -> SignedIn {
        let body = json!({ "email": email, "password": "correct horse" });
        let answer = self.post(&self.anon_key, "/auth/v1/signup", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        SignedIn::from(&answer.json())
    }
}

/// A user with a session.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) tenant: String,
}

impl From<&Value> for SignedIn {
    fn from(session: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let token = text(&session["access_token"]);
        let tenant = text(&claims(&token)["tenant_id"]);
        Self {
            id: text(&session["user"]["id"]),
            refresh_token: text(&session["refresh_token"]),
            token,
            tenant,
        }
    }
}

/// A token's claims, unverified.
pub(crate) fn claims(token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}
