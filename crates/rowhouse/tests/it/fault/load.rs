//! Clients that send requests through an outage, and checks of all answers.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use rowhouse_testkit::{LIMIT, until};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::support::{SignedIn, TestApp, TestResponse};

/// Within this time requests end, an outage is detected, and a recovered database is used.
pub(super) const WITHIN: Duration = Duration::from_secs(5);
/// Every health route has answered, whatever the database does.
const HEALTH_WITHIN: Duration = Duration::from_secs(2);
/// When a client gives up on a request that hangs; long beyond every limit.
const HANGING: Duration = Duration::from_secs(20);
/// Pause of a client between two requests.
const PACE: Duration = Duration::from_millis(25);

const PASSWORD: &str = "correct horse";
const HEALTH: [&str; 5] = ["/health", "/health/live", "/health/ready", "/version", "/metrics"];
const CLIENTS: [RequestKind; 8] = [
    RequestKind::Read,
    RequestKind::Read,
    RequestKind::Write,
    RequestKind::Write,
    RequestKind::Read,
    RequestKind::SignIn,
    RequestKind::Refresh,
    RequestKind::User,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Read,
    Write,
    SignIn,
    Refresh,
    User,
    Health(&'static str),
}

impl RequestKind {
    /// Those that need the database.
    pub(super) const ALL: [Self; 5] = [Self::Read, Self::Write, Self::SignIn, Self::Refresh, Self::User];

    fn is_rest(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// One request and how it ended; the error is the client's own.
#[derive(Debug)]
pub(super) struct Seen {
    kind: RequestKind,
    started: Instant,
    took: Duration,
    /// The marker that a write stores.
    marker: String,
    answer: Result<TestResponse, String>,
}

impl Seen {
    pub(super) async fn of(kind: RequestKind, request: RequestBuilder, marker: String) -> Self {
        let started = Instant::now();
        let answer = async {
            let response = request.send().await.map_err(|error| format!("{error:?}"))?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok(TestResponse {
                status,
                headers,
                text: response.text().await.map_err(|error| format!("{error:?}"))?,
            })
        };
        let answer = timeout(HANGING, answer).await.unwrap_or_else(|_| Err("hangs".to_owned()));
        Self { kind, started, took: started.elapsed(), marker, answer }
    }

    pub(super) fn succeeded(&self) -> bool {
        self.in_time() && self.answer.as_ref().is_ok_and(|answer| answer.status.is_success())
    }

    /// 503 with Retry-After, or 504, in the surface's dialect and in time.
    pub(super) fn refused_clearly(&self) -> bool {
        let Ok(answer) = &self.answer else { return false };
        let clear = match answer.status {
            StatusCode::SERVICE_UNAVAILABLE => answer.headers.contains_key("retry-after"),
            status => status == StatusCode::GATEWAY_TIMEOUT,
        };
        clear && self.in_time() && self.in_dialect(answer)
    }

    fn in_dialect(&self, answer: &TestResponse) -> bool {
        let json = answer.json();
        let text = |name: &str| json[name].as_str().is_some_and(|text| !text.is_empty());
        if self.kind.is_rest() {
            answer.code().starts_with("PGRST") && text("message") && json.get("hint").is_some()
        } else {
            json["code"] == answer.status.as_u16() && text("error_code") && text("msg")
        }
    }

    fn in_time(&self) -> bool {
        self.took <= if matches!(self.kind, RequestKind::Health(_)) { HEALTH_WITHIN } else { WITHIN }
    }

    fn is_fine(&self) -> bool {
        let RequestKind::Health(path) = self.kind else { return self.succeeded() || self.refused_clearly() };
        let may_refuse = matches!(path, "/health" | "/health/ready");
        let refused =
            self.answer.as_ref().is_ok_and(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE);
        self.succeeded() || (may_refuse && refused && self.in_time())
    }
}

/// A signed-in user who sends requests in sequence.
pub(super) struct Person {
    app: Arc<TestApp>,
    email: String,
    pub(super) user: SignedIn,
    sent: u32,
}

impl Person {
    pub(super) async fn sign_up(app: &Arc<TestApp>, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let user = app.sign_up(&email).await;
        Self { app: Arc::clone(app), email, user, sent: 0 }
    }

    pub(super) async fn send(&mut self, kind: RequestKind) -> Seen {
        self.sent += 1;
        let marker = format!("{} {}", self.email, self.sent);
        let seen = Seen::of(kind, self.request(kind, &marker), marker).await;
        if let (RequestKind::Refresh, true, Ok(answer)) = (kind, seen.succeeded(), &seen.answer) {
            self.user = SignedIn::from(&answer.json());
        }
        seen
    }

    fn request(&self, kind: RequestKind, marker: &str) -> RequestBuilder {
        let to = |method, path: &str| self.app.request(method, path).header("apikey", &self.app.anon_key);
        let token = |grant: &str| to(Method::POST, &format!("/auth/v1/token?grant_type={grant}"));
        match kind {
            RequestKind::Read => {
                to(Method::GET, "/rest/v1/todos?select=id,title&limit=20").bearer_auth(&self.user.token)
            }
            RequestKind::Write => to(Method::POST, "/rest/v1/todos")
                .bearer_auth(&self.user.token)
                .json(&json!({ "title": marker })),
            RequestKind::SignIn => {
                token("password").json(&json!({ "email": self.email, "password": PASSWORD }))
            }
            RequestKind::Refresh => {
                token("refresh_token").json(&json!({ "refresh_token": self.user.refresh_token }))
            }
            RequestKind::User => to(Method::GET, "/auth/v1/user").bearer_auth(&self.user.token),
            RequestKind::Health(path) => to(Method::GET, path),
        }
    }
}

/// Running clients.
pub(super) struct Load {
    log: Arc<Mutex<Vec<Seen>>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    pub(super) async fn start(app: &Arc<TestApp>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut load = Self { log: Arc::default(), stop, clients: JoinSet::new() };
        for (i, kind) in CLIENTS.into_iter().chain(HEALTH.map(RequestKind::Health)).enumerate() {
            let person = Person::sign_up(app, &format!("client{i}")).await;
            load.clients.spawn(run(person, kind, Arc::clone(&load.log), stopped.clone()));
        }
        load
    }

    /// Returns when every client has been answered several times.
    pub(super) async fn settled(&self) {
        let answered = async || self.log.lock().unwrap().len() >= 20 * (CLIENTS.len() + HEALTH.len());
        until("every client has been answered", LIMIT, answered).await;
    }

    /// Ends the clients after the request that each is at.
    pub(super) async fn stop(self) -> Log {
        self.stop.send(true).unwrap();
        self.clients.join_all().await;
        Log(std::mem::take(&mut *self.log.lock().unwrap()))
    }
}

async fn run(
    mut person: Person,
    kind: RequestKind,
    log: Arc<Mutex<Vec<Seen>>>,
    stopped: watch::Receiver<bool>,
) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !*stopped.borrow() {
        pace.tick().await;
        let seen = person.send(kind).await;
        log.lock().unwrap().push(seen);
    }
}

/// All requests and answers.
pub(super) struct Log(Vec<Seen>);

impl Log {
    /// Every request ended well or in a clear refusal, in time; from `recovered` on all ended well.
    pub(super) fn judge(&self, recovered: Instant) {
        let is_bad = |seen: &&Seen| !seen.is_fine() || (seen.started > recovered && !seen.succeeded());
        let bad: Vec<&Seen> = self.0.iter().filter(is_bad).collect();
        assert!(
            bad.is_empty(),
            "{} of {} requests ended badly, first {:#?}",
            bad.len(),
            self.0.len(),
            &bad[..bad.len().min(5)]
        );
    }

    /// Requires every write answered with 201 to be stored.
    pub(super) async fn require_acknowledged_writes(&self, app: &TestApp) {
        let rows = app.db.superuser().await.query("select title from public.todos", &[]).await.unwrap();
        let there: HashSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let acknowledged = self.0.iter().filter(|seen| seen.kind == RequestKind::Write && seen.succeeded());
        let lost: Vec<&str> =
            acknowledged.map(|seen| seen.marker.as_str()).filter(|marker| !there.contains(*marker)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slowest = |health| {
            self.0
                .iter()
                .filter(|seen| matches!(seen.kind, RequestKind::Health(_)) == health)
                .map(|seen| seen.took)
                .max()
        };
        let refused = self.0.iter().filter(|seen| seen.refused_clearly()).count();
        write!(
            f,
            "{} requests, {refused} refused, slowest {:?}, slowest health route {:?}",
            self.0.len(),
            slowest(false),
            slowest(true)
        )
    }
}
