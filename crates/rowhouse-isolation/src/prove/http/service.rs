//! A data API of its own over a database: the modules that serve it, keys that sign the callers' tokens, and few connections,
//! which all callers share. Leaves what is sent to `request`, `routine` and `bleed`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::{Body, to_bytes};
use http::{Request, Response};
use rowhouse_crypto::{Algorithm, Key, KeyError, KeyPair, KeyRing, Purpose, Status};
use rowhouse_db::{Database, DbSettings};
use rowhouse_http::{CallerResolver, ForeignTokens, ServerSettings};
use rowhouse_module::{App, Assembly, CannotRun, Mode, Module, ModuleFuture, Modules, Origin, Roles};
use rowhouse_rest::{RestModule, RestSettings, TxEnd};
use rowhouse_tenancy::TenancyModule;
use serde_json::{Map, Value};
use tower::ServiceExt as _;

use super::super::scene::Actor;
use super::Copy;
use super::call::{Answer, Call};

/// Connections of the data plane: with one, each request follows that of another caller in the same session.
const CONNECTIONS: u32 = 1;
/// How long tokens hold, in seconds.
const TOKEN_SECONDS: i64 = 3600;
/// How long a request may wait for the one connection, and a statement may run: what a busy machine is slow at says nothing about
/// isolation.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Provides what verifies tokens, in place of the module that has users' keys.
struct ProofKeys(Arc<ArcSwap<KeyRing>>);

impl Module for ProofKeys {
    fn name(&self) -> &'static str {
        "proof"
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        let clock = Arc::clone(&assembly.origin.clock);
        let resolver = CallerResolver::new(Arc::clone(&self.0), ForeignTokens::default(), clock);
        assembly.provide(Arc::new(resolver));
        Box::pin(async { Ok(()) })
    }
}

/// The running API.
pub(super) struct Service {
    app: App,
    /// By the caller's place; none for callers without one.
    tokens: Vec<Option<String>>,
    sent: AtomicUsize,
}

impl Service {
    pub(super) async fn start(copy: &Copy<'_>, actors: &[Actor]) -> Result<Self, CannotRun> {
        let ring = Arc::new(ring().map_err(|error| CannotRun::because(error.to_string()))?);
        let now = copy.clock.now().unix_timestamp();
        let token = |actor: &Actor| {
            actor.user.as_ref().map(|_| token(&ring, &actor.claims, now)).transpose().map_err(|error| {
                CannotRun::because(format!("the token of {} cannot be signed: {error}", actor.name))
            })
        };
        let tokens = actors.iter().map(token).collect::<Result<_, _>>()?;
        let keys = ProofKeys(Arc::new(ArcSwap::new(Arc::clone(&ring))));
        let modules = Modules::new(vec![Box::new(TenancyModule), Box::new(keys), Box::new(RestModule)]);
        let app = App::start(&modules, origin(copy)?).await?;
        Ok(Self { app, tokens, sent: AtomicUsize::new(0) })
    }

    /// Sends a request as a caller and reads the answer to its end.
    pub(super) async fn send(&self, actor: usize, call: &Call) -> Result<Answer, CannotRun> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let token = self.tokens.get(actor).and_then(Option::as_deref);
        let request: Request<Body> = call.request(token)?;
        let response: Response<Body> = match self.app.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (head, body) = response.into_parts();
        let body = to_bytes(body, MAX_ANSWER)
            .await
            .map_err(|error| CannotRun::because(format!("the answer to {call} broke off: {error}")))?;
        Ok(Answer::new(&head, &body))
    }

    pub(super) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) async fn stop(self) {
        self.app.stop().await;
    }
}

fn origin(copy: &Copy<'_>) -> Result<Origin, CannotRun> {
    let mut settings = copy.settings.clone();
    settings.update(|server: &mut ServerSettings| {
        server.public_url.get_or_insert_with(|| "http://localhost".to_owned());
        // Every caller has the same address here.
        server.bad_token_rate_per_5min = u32::MAX;
    });
    settings.update(|rest: &mut RestSettings| rest.tx_end = TxEnd::CommitAllowOverride);
    settings.update(|db: &mut DbSettings| {
        db.data_pool_size = CONNECTIONS;
        (db.acquire_timeout, db.statement_timeout) = (PATIENCE, PATIENCE);
    });
    // Sessions are looked up as the proof in SQL does, whatever `auth.live_sessions` says.
    let database = Database::open(copy.urls, &settings.get::<DbSettings>(), true)?;
    Ok(Origin {
        settings,
        database,
        urls: copy.urls.clone(),
        clock: Arc::clone(copy.clock),
        rng: Arc::clone(copy.rng),
        roles: Roles { api: true, worker: false },
        mode: Mode::Serve,
        project: None,
        addresses: BTreeMap::new(),
    })
}

fn ring() -> Result<KeyRing, KeyError> {
    let key = |purpose| Key::new(KeyPair::generate(Algorithm::Es256)?, purpose, Status::Signing);
    KeyRing::new(vec![key(Purpose::Access)?, key(Purpose::Api)?], None)
}

fn token(ring: &KeyRing, claims: &str, now: i64) -> Result<String, KeyError> {
    let mut claims: Map<String, Value> = serde_json::from_str(claims)?;
    claims.insert("iat".to_owned(), now.into());
    claims.insert("exp".to_owned(), (now + TOKEN_SECONDS).into());
    ring.sign(&claims, Purpose::Access)
}
