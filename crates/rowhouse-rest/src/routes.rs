//! HTTP in and out: the stages in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::header::ALLOW;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use rowhouse_db::flight::RequestContext;
use rowhouse_db::{DataPlane, DbError};
use rowhouse_http::{ClientAddress, Closed, Deadline, ProvenLive, SESSION_ENDED};

use crate::admit::Admitted;
use crate::body::RequestBody;
use crate::cache::SchemaCache;
use crate::error::{Error, ErrorResponse};
use crate::import::Import;
use crate::limit::LimitSources;
use crate::parse::{Incoming, RequestError, parse};
use crate::plan::{self, Plan};
use crate::prepare::Prepared;
use crate::respond::QueryOutcome;
use crate::run::{self, Task};
use crate::settings::RestSettings;
use crate::timing::Timing;
use crate::violation::Violations;
use crate::{context, import, openapi, respond};

/// State of the data API.
#[derive(Clone)]
pub struct Rest {
    database: DataPlane,
    schema: Arc<SchemaCache>,
    settings: Arc<RestSettings>,
    limits: LimitSources,
    violations: Arc<Violations>,
    /// The request header that is echoed.
    trace_header: Option<HeaderName>,
}

impl Rest {
    /// Serves the snapshot in `schema` from `database`, within `limits`.
    #[must_use]
    pub fn new(
        database: DataPlane,
        schema: Arc<SchemaCache>,
        limits: LimitSources,
        settings: RestSettings,
    ) -> Self {
        let violations = Arc::new(Violations::new());
        let trace_header = settings.trace_header.as_deref().and_then(|name| name.parse().ok());
        Self { database, schema, settings: Arc::new(settings), limits, violations, trace_header }
    }
}

/// Every path of the data API, to be nested where it is mounted. The verified caller has to be in the request's
/// extensions as `Identity`; without it every request is refused.
pub fn router(rest: Rest) -> Router {
    Router::new().route("/", any(handle)).route("/{*path}", any(handle)).fallback(handle).with_state(rest)
}

async fn handle(State(rest): State<Rest>, request: Request<Body>) -> Response {
    let trace = rest.trace_header.clone().and_then(|name| {
        let value = request.headers().get(&name)?.clone();
        Some((name, value))
    });
    let mut timing = Timing::start(rest.settings.server_timing, request.extensions().get());
    let (head, body) = request.into_parts();
    let mut response = match answer(&rest, &head, body, &mut timing).await {
        Ok(response) => response,
        Err(error) => refused(&rest, &head, error),
    };
    timing.end_stage("response");
    timing.show(response.headers_mut());
    if let Some((name, value)) = trace {
        response.headers_mut().insert(name, value);
    }
    response
}

/// The stages of a request: admit, prepare, execute, respond.
async fn answer(rest: &Rest, head: &Parts, body: Body, timing: &mut Timing) -> Result<Response, Error> {
    if path(head).contains("//") {
        // The router ignores a doubled slash, which would lead past what is closed at the path without it.
        return Err(RequestError::Path.into());
    }
    let caller = context::caller(head, &rest.settings.anon_role)?;
    let snapshot = rest.schema.current().ok_or(Error::NoSnapshot)?;
    let admitted = Admitted::new(&caller, &snapshot, &rest.limits, &rest.settings)?;
    let RequestBody { body, import } = RequestBody::read(head, body, &rest.settings).await?;
    let incoming = Incoming::of(head, body);
    let request = admitted.parse(&incoming)?;
    timing.end_stage("parse");
    if is_closed(head) {
        return Err(plan::unknown(&request, &snapshot).into());
    }
    let prepared = admitted.prepare(&request, &incoming)?;
    timing.end_stage("plan");
    let begun = Instant::now();
    let outcome = execute(rest, &admitted, &prepared, import, head).await;
    timing.end_stage("transaction");
    if let Some(proven) = head.extensions.get::<ProvenLive>().filter(|_| is_proof(&outcome)) {
        proven.note();
    }
    let outcome =
        outcome.map_err(|error| run::explain(error, &admitted.limits, &prepared, begun.elapsed()))?;
    respond::respond(&request, &prepared.plan, outcome)
}

/// Whether the database has looked the session up and found it live: every transaction begins with that.
fn is_proof(outcome: &Result<QueryOutcome, Error>) -> bool {
    match outcome {
        Ok(outcome) => !matches!(outcome, QueryOutcome::Nothing),
        Err(Error::Database(DbError::Refused(refusal), _)) => !SESSION_ENDED.contains(&refusal.code.as_str()),
        Err(_) => false,
    }
}

/// The one stage that talks to the database.
async fn execute(
    rest: &Rest,
    admitted: &Admitted<'_>,
    prepared: &Prepared<'_>,
    import: Option<Import>,
    head: &Parts,
) -> Result<QueryOutcome, Error> {
    let address = head.extensions.get::<ClientAddress>().map(|address| address.0);
    let context = &RequestContext { address, ..prepared.context() };
    let settings = &*admitted.settings;
    let task = Task { database: &rest.database, context, request: prepared.request, settings };
    match (&prepared.plan, import) {
        (Plan::Describe(_), _) => Ok(QueryOutcome::Nothing),
        (Plan::Root { version, .. }, _) => {
            let visible = Box::pin(run::visible(task)).await?;
            let schema = &prepared.request.schema;
            let presented = (mount(head), settings.openapi_security_active);
            let document = openapi::document(*version, admitted.snapshot, schema, &visible, presented);
            Ok(QueryOutcome::Document(document))
        }
        (plan, import) => {
            run::require_affordable(task, &admitted.limits, plan).await?;
            match (plan, import) {
                (Plan::Write(write), Some(import)) => {
                    allow_time(head, settings.stream_timeout);
                    Box::pin(import::run(task, write, import)).await
                }
                _ => run::run(task, plan).await,
            }
            .map(QueryOutcome::Rows)
        }
    }
}

/// An import takes as long as its body takes to arrive.
fn allow_time(head: &Parts, limit: Duration) {
    if let Some(deadline) = head.extensions.get::<Deadline>() {
        deadline.extend(limit);
    }
}

/// The path below which the API is mounted.
fn mount(head: &Parts) -> &str {
    let whole = path(head);
    let base = whole.strip_suffix(head.uri.path()).unwrap_or(whole).trim_end_matches('/');
    if base.is_empty() { "/" } else { base }
}

/// As the client wrote it.
fn path(head: &Parts) -> &str {
    head.extensions.get::<OriginalUri>().map_or_else(|| head.uri.path(), |uri| uri.0.path())
}

/// The response to a request that failed.
fn refused(rest: &Rest, head: &Parts, error: Error) -> Response {
    rest.violations.count(&error, head, rest.schema.current().as_deref());
    let failure = log(error);
    let is_method = failure.status == StatusCode::METHOD_NOT_ALLOWED;
    let mut response = failure.respond(rest.settings.client_error_verbosity);
    let allowed = is_method.then(|| allowed(rest, head)).flatten();
    if let Some(Ok(allowed)) = allowed.map(HeaderValue::try_from) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// Whether the path is closed to the caller: it has to look like one that does not exist.
fn is_closed(head: &Parts) -> bool {
    head.extensions.get::<Closed>().is_some()
}

/// The allowed methods (RFC 9110 section 15.5.6), as OPTIONS answers them.
fn allowed(rest: &Rest, head: &Parts) -> Option<String> {
    let snapshot = rest.schema.current()?;
    let (path, headers) = (head.uri.path(), &head.headers);
    let incoming = Incoming { method: "OPTIONS", path, query: "", headers, body: Bytes::new() };
    let request = parse(&incoming, &rest.settings).ok()?;
    match plan::plan(&request, &snapshot, &rest.settings) {
        Ok(Plan::Describe(allowed)) if !is_closed(head) => Some(allowed),
        _ if path.starts_with("/rpc/") => Some(CALLS.to_owned()),
        _ => None,
    }
}

/// Methods of functions, if the function is unknown.
const CALLS: &str = "OPTIONS,GET,HEAD,POST";

/// Logs server errors, once; the client sees less.
fn log(error: Error) -> ErrorResponse {
    let cause = error.cause();
    let failure = ErrorResponse::from(error);
    if failure.status.is_server_error() {
        tracing::warn!(
            status = failure.status.as_u16(),
            code = failure.code,
            cause,
            "data API request failed"
        );
    }
    failure
}
