//! A running app on a database of its own, and typed callers.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rowhouse::app::App;
use rowhouse::modules::modules;
use rowhouse::platform;
use rowhouse_auth::{AuthSettings, KeyStore};
use rowhouse_db::{Database, DbSettings};
use rowhouse_http::{Server, ServerSettings, serve};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Secret, SystemClock, SystemRng};
use rowhouse_module::{Mode, Modules, Origin, Project, Roles};
use rowhouse_testkit::{Contract, TestDatabase};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The example project's kind of schema: two tenant tables with a reference, one shared table, functions.
pub(crate) const PROJECT: &str = include_str!("project.sql");

pub(crate) struct TestApp {
    pub(crate) db: TestDatabase,
    pub(crate) address: SocketAddr,
    pub(crate) anon_key: String,
    pub(crate) service_key: String,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) app: App,
    http: Client,
    drain: watch::Sender<bool>,
}

/// A response as tests look at it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The error code in whichever dialect.
    pub(crate) fn code(&self) -> String {
        let json = self.json();
        let code = json.get("error_code").or_else(|| json.get("code")).or_else(|| json.get("error"));
        code.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.update(|auth: &mut AuthSettings| auth.mailer_autoconfirm = true);
    settings.update(|auth: &mut AuthSettings| {
        auth.key_secret = Some(Secret::new("test-secret-0123456789012345678901234567"));
    });
    settings.update(|auth: &mut AuthSettings| auth.signin_rate_per_5min = 100_000);
    settings.update(|auth: &mut AuthSettings| auth.token_rate_per_5min = 100_000);
    settings
        .update(|server: &mut ServerSettings| server.public_url = Some("http://rowhouse.test".to_owned()));
    settings.update(|db: &mut DbSettings| db.data_pool_size = 4);
    settings.update(|db: &mut DbSettings| db.service_pool_size = 2);
    settings
}

/// A project with mail templates of its own.
fn project() -> (tempfile::TempDir, Project) {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("en/welcome.subject", "Welcome, {{ name }}"),
        ("en/welcome.html", "<p>{{ name }}, since {{ year | default(\"ever\") }}</p>"),
        ("en/letter.subject", "News"),
        ("en/letter.txt", "Leave: {{ UnsubscribeURL }}"),
        ("letter.json", "{}"),
        ("de/welcome.subject", "Willkommen, {{ name }}"),
        ("welcome.json", r#"{ "name": "Ada", "year": 1815 }"#),
    ];
    for (name, text) in files {
        let path = folder.path().join("mail").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let project = Project::open(folder.path()).unwrap();
    (folder, project)
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::start_with(settings()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        let db = TestDatabase::create(platform::migrations()).await;
        db.migrate(PROJECT).await;
        Self::start_on(db, settings).await
    }

    pub(crate) async fn start_on(db: TestDatabase, settings: Settings) -> Self {
        Self::start_as(db, settings, Roles { api: true, worker: false }).await
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
        let database = Database::open(&db.urls, &settings.get::<DbSettings>(), live_sessions).unwrap();
        let server = Server::from(&*settings.get::<ServerSettings>());
        let (folder, project) = project();
        let origin = Origin {
            settings,
            database,
            urls: db.urls.clone(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            roles,
            mode: Mode::Serve,
            project: Some(project),
            addresses: std::collections::BTreeMap::new(),
        };
        let app = App::start(modules, origin).await.unwrap();
        drop(folder);
        let keys = app.provided::<KeyStore>().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, draining) = watch::channel(false);
        tokio::spawn(serve(listener, app.router.clone(), server, draining));
        let key = async |role| {
            let lifetime = rowhouse_auth::API_KEY_LIFETIME;
            keys.issue_api_key(role, "http://rowhouse.test", lifetime).await.unwrap()
        };
        let (anon_key, service_key) = (key("anon").await, key("service_role").await);
        Self { db, address, anon_key, service_key, keys, app, http: Client::new(), drain }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: response.text().await.unwrap() }
    }

    /// A request with a bearer token and perhaps a JSON body.
    pub(crate) async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request =
            self.request(method.clone(), path).header("apikey", &self.anon_key).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("prefer", "return=representation").json(&body);
        }
        let answer = self.send(request).await;
        if let Some(below) = path.strip_prefix("/admin/v1") {
            self.hold_against_contract(&method, below, &answer).await;
        }
        answer
    }

    /// The admin API's OpenAPI document.
    pub(crate) async fn contract(&self) -> Contract {
        Contract::new(self.send(self.request(Method::GET, "/admin/v1/openapi.json")).await.json())
    }

    /// Checks every answer of the admin API against its description.
    async fn hold_against_contract(&self, method: &Method, path: &str, answer: &Answer) {
        if path == "/openapi.json" {
            return;
        }
        let content_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
        let status = answer.status.as_u16();
        let contract = self.contract().await;
        if let Err(why) =
            contract.check(method.as_str(), path, status, content_type.unwrap_or_default(), &answer.json())
        {
            panic!("{why}");
        }
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(token, Method::POST, path, Some(body)).await
    }

    /// Signs a new user up.
    pub(crate) async fn sign_up(&self, email: &str) -> SignedIn {
        let body = json!({ "email": email, "password": "correct horse" });
        let answer = self.post(&self.anon_key, "/auth/v1/signup", body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        SignedIn::from(&answer.json())
    }

    /// Tells the server to finish; new connections are refused from here on.
    pub(crate) fn drain(&self) {
        self.drain.send(true).unwrap();
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
