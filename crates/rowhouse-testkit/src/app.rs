//! A process of the program inside a test: modules over a test database, served on a port, and a client for it.

mod answer;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder};
use rowhouse_db::{Database, DbSettings};
use rowhouse_http::{Server, ServerSettings, serve};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{SharedClock, SystemClock, SystemRng};
use rowhouse_module::{App, Mode, Modules, Origin, Project, Roles};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::{Contract, TestDatabase};
pub use answer::TestResponse;

/// Where a test's process says that it is reached.
const PUBLIC_URL: &str = "http://rowhouse.test";

/// What a process is made of beside its modules and its database.
pub struct Setup {
    /// All of them.
    pub settings: Settings,
    /// Whether requests look up their session, as `auth.live_sessions` has it.
    pub live_sessions: bool,
    /// The time.
    pub clock: SharedClock,
    /// What the process does.
    pub roles: Roles,
    /// Files of the project, by their paths in it.
    pub files: Vec<(&'static str, &'static str)>,
}

impl Default for Setup {
    /// The settings' defaults with small pools; answers requests and runs no jobs.
    fn default() -> Self {
        let mut settings = Settings::default();
        settings.update(|server: &mut ServerSettings| {
            server.public_url = Some(PUBLIC_URL.to_owned());
            // No test reaches it by the way.
            server.bad_token_rate_per_5min = 100_000;
        });
        settings.update(|db: &mut DbSettings| (db.data_pool_size, db.service_pool_size) = (4, 2));
        let roles = Roles { api: true, worker: false };
        Self { settings, live_sessions: true, clock: Arc::new(SystemClock), roles, files: Vec::new() }
    }
}

/// A running process. Its tasks end with it.
pub struct TestApp {
    /// Its database.
    pub db: TestDatabase,
    /// What the modules have made.
    pub app: App,
    /// Where it listens.
    pub address: SocketAddr,
    /// An API key of the role `anon`; empty without a module that issues any.
    pub anon_key: String,
    /// The same of `service_role`.
    pub service_key: String,
    http: Client,
    drain: watch::Sender<bool>,
    _project: TempDir,
}

impl TestApp {
    /// Starts modules as `up` does, without their listeners.
    ///
    /// # Panics
    /// If they cannot be started.
    pub async fn start(modules: &Modules, db: TestDatabase, setup: Setup) -> Self {
        let Setup { settings, live_sessions, clock, roles, files } = setup;
        let (folder, project) = project(&files);
        let database = Database::open(&db.urls, &settings.get::<DbSettings>(), live_sessions)
            .expect("the database's URLs");
        let server = Server::from(&*settings.get::<ServerSettings>());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let origin = Origin {
            settings,
            database,
            urls: db.urls.clone(),
            clock,
            rng: Arc::new(SystemRng),
            roles,
            mode: Mode::Development { api_port: address.port() },
            project: Some(project),
            addresses: BTreeMap::new(),
        };
        let app = App::start(modules, origin).await.unwrap_or_else(|error| panic!("{}", error.0.join("\n")));
        let (drain, draining) = watch::channel(false);
        tokio::spawn(serve(listener, app.router.clone(), server, draining));
        let (anon_key, service_key) = (fact(&app, "anon_key"), fact(&app, "service_role_key"));
        Self { db, app, address, anon_key, service_key, http: Client::new(), drain, _project: folder }
    }

    /// What a module has provided.
    ///
    /// # Panics
    /// If none has.
    #[must_use]
    pub fn provided<T: std::any::Any + Send + Sync>(&self) -> Arc<T> {
        self.app.provided().expect("a module provides it")
    }

    /// A request to this process.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(&self, request: RequestBuilder) -> TestResponse {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        TestResponse { status, headers, text: response.text().await.expect("a whole answer") }
    }

    /// A request with a bearer token and perhaps a JSON body. Answers of the admin API are held against its description.
    ///
    /// # Panics
    /// If there is no answer, or it is not as it is described.
    pub async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> TestResponse {
        let mut request =
            self.request(method.clone(), path).header("apikey", &self.anon_key).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("prefer", "return=representation").json(&body);
        }
        let answer = self.send(request).await;
        if let Some(below) = path.strip_prefix("/admin/v1").filter(|below| *below != "/openapi.json") {
            let (status, media) = (answer.status.as_u16(), answer.header("content-type"));
            let held = self.contract().await.check(method.as_str(), below, status, media, &answer.json());
            held.unwrap_or_else(|why| panic!("{why}"));
        }
        answer
    }

    /// GET.
    pub async fn get(&self, token: &str, path: &str) -> TestResponse {
        self.call(token, Method::GET, path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, token: &str, path: &str, body: Value) -> TestResponse {
        self.call(token, Method::POST, path, Some(body)).await
    }

    /// What the admin API says of itself.
    pub async fn contract(&self) -> Contract {
        Contract::new(self.send(self.request(Method::GET, "/admin/v1/openapi.json")).await.json())
    }

    /// Tells the server to finish; new connections are refused from here on.
    pub fn drain(&self) {
        self.drain.send_replace(true);
    }
}

/// A folder with these files, taken as a project.
fn project(files: &[(&str, &str)]) -> (TempDir, Project) {
    let folder = tempfile::tempdir().expect("a folder");
    // `up` creates it with the project's secrets.
    std::fs::create_dir_all(folder.path().join(".rowhouse/keys")).expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let project = Project::open(folder.path()).unwrap_or_else(|error| panic!("{}", error.0.join("\n")));
    (folder, project)
}

fn fact(app: &App, key: &str) -> String {
    let fact = app.facts.iter().find(|fact| fact.key == key);
    fact.and_then(|fact| fact.value.as_str()).unwrap_or_default().to_owned()
}
