//! HTTP in and out: the body read within its limit, the stages in order.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use rowhouse_db::DataPlane;
use rowhouse_db::catalog::Snapshot;
use rowhouse_db::flight::RequestContext;
use rowhouse_http::Identity;
use rowhouse_kernel::settings::{OpenapiMode, RestSettings};

use crate::cache::SchemaCache;
use crate::error::{Error, Failure};
use crate::openapi::{self, Visible};
use crate::parse::{Incoming, parse};
use crate::plan::{Plan, plan};
use crate::timing::Timing;
use crate::{context, respond, run, sql};

/// The data API, ready to answer.
#[derive(Clone)]
pub struct Rest {
    database: DataPlane,
    schema: Arc<SchemaCache>,
    settings: Arc<RestSettings>,
    /// Sent back as it came.
    trace_header: Option<HeaderName>,
}

impl Rest {
    /// Serves what `schema` knows, through `database`.
    #[must_use]
    pub fn new(database: DataPlane, schema: Arc<SchemaCache>, settings: RestSettings) -> Self {
        // There from the start: an alert on a missing series would not fire.
        violations().absolute(0);
        let trace_header = settings.trace_header.as_deref().and_then(|name| name.parse().ok());
        Self { database, schema, settings: Arc::new(settings), trace_header }
    }
}

/// Every path of the data API, to be nested where it is mounted. The verified caller must stand in the request's
/// extensions as [`Identity`]; without it every request is refused.
pub fn router(rest: Rest) -> Router {
    Router::new().route("/", any(handle)).route("/{*path}", any(handle)).fallback(handle).with_state(rest)
}

/// The root written with a slash at its end, to be nested at `…/` beside [`router`]: nesting leaves that path out.
pub fn root_router(rest: Rest) -> Router {
    Router::new().route("/", any(handle)).with_state(rest)
}

async fn handle(State(rest): State<Rest>, request: Request<Body>) -> Response {
    let trace = rest.trace_header.clone().and_then(|name| {
        let value = request.headers().get(&name)?.clone();
        Some((name, value))
    });
    let mut response = match answer(&rest, request).await {
        Ok(response) => response,
        Err(error) => log(error).respond(rest.settings.client_error_verbosity),
    };
    if let Some((name, value)) = trace {
        response.headers_mut().insert(name, value);
    }
    response
}

async fn answer(rest: &Rest, request: Request<Body>) -> Result<Response, Error> {
    let (head, body) = request.into_parts();
    let identity = head.extensions.get::<Identity>().ok_or(Error::NoCaller)?;
    let caller = identity.caller().map_err(|error| Error::Token(*error))?;
    let renamed = context::anonymous(caller, &rest.settings.anon_role)?;
    let caller = renamed.as_ref().unwrap_or(caller);
    let snapshot = rest.schema.current().ok_or(Error::NoSnapshot)?;
    let body = read_body(body, rest.settings.max_body_bytes).await?;
    let incoming = Incoming {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body,
    };
    let mut timing = Timing::start(rest.settings.server_timing);
    let request = parse(&incoming, &rest.settings)?;
    timing.mark("parse");
    let plan = plan(&request, &snapshot, &rest.settings)?;
    if let Plan::Describe(allowed) = &plan {
        return Ok(respond::describe(&request, allowed));
    }
    // The function's own limit binds before the role's.
    let limits =
        snapshot.role_settings(&caller.role).iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let limits = limits.chain(plan.statement_timeout().map(|timeout| ("statement_timeout", timeout)));
    let before = sql::before(limits, rest.settings.pre_request.as_deref());
    let context = RequestContext {
        caller,
        method: incoming.method,
        path: incoming.path,
        headers: &context::headers(&head.headers),
        cookies: &context::cookies(&head.headers),
        access: plan.access(),
        search_path: &context::search_path(&request.schema, &rest.settings.extra_search_path),
        time_zone: request.prefer.time_zone.as_deref(),
        before: before.as_ref(),
        end: context::end(rest.settings.tx_end, request.prefer.tx),
    };
    if matches!(plan, Plan::Root) {
        return describe_root(rest, &context, &request.schema, &snapshot, base(&head)).await;
    }
    let Some(query) = sql::main(&plan) else { return Err(Error::NoSnapshot) };
    if query.params.len() > sql::MAX_PARAMS {
        return Err(Error::TooManyValues);
    }
    timing.mark("plan");
    let answer = run::run(&rest.database, &context, &request, &plan, &query, rest.settings.as_ref()).await?;
    timing.mark("transaction");
    let mut response = respond::respond(&request, &plan, answer)?;
    timing.mark("response");
    timing.show(response.headers_mut());
    Ok(response)
}

/// The description of what the caller may use.
async fn describe_root(
    rest: &Rest,
    context: &RequestContext<'_>,
    schema: &str,
    snapshot: &Snapshot,
    base: &str,
) -> Result<Response, Error> {
    let all = rest.settings.openapi_mode == OpenapiMode::IgnorePrivileges;
    let signed_in = *context.caller.role != *rest.settings.anon_role;
    let rows = rest.database.fly(context, &Visible::query(schema, all)).await;
    let visible = Visible::from_rows(rows.map_err(|error| Error::Database(error, signed_in))?);
    let document = openapi::document(snapshot, schema, &visible, base);
    Ok(respond::document(&document, context.method == "HEAD"))
}

/// The path below which the API is mounted.
fn base(head: &Parts) -> &str {
    let whole = head.extensions.get::<OriginalUri>().map_or("/", |uri| uri.0.path());
    let base = whole.strip_suffix(head.uri.path()).unwrap_or(whole).trim_end_matches('/');
    if base.is_empty() { "/" } else { base }
}

async fn read_body(body: Body, limit: u64) -> Result<Bytes, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge),
        Err(_) => Err(Error::Aborted),
    }
}

/// Writes that a row-level security policy refused.
fn violations() -> metrics::Counter {
    metrics::counter!("rls_violations_total")
}

/// What is no fault of the client is logged here, once; the client sees less.
fn log(error: Error) -> Failure {
    let cause = if let Error::Database(error, _) = &error { error.to_string() } else { String::new() };
    let failure = Failure::from(error);
    if failure.code == "42501" && failure.message.contains("row-level security") {
        violations().increment(1);
    }
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
