//! HTTP in and out: the stages in order.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use axum::routing::any;
use http::request::Parts;
use http::{HeaderName, Request};
use rowhouse_db::DataPlane;
use rowhouse_db::catalog::Snapshot;
use rowhouse_db::flight::RequestContext;
use rowhouse_http::{Deadline, Identity};
use rowhouse_kernel::settings::{OpenapiMode, RestSettings};

use crate::body::RequestBody;
use crate::cache::SchemaCache;
use crate::error::{Error, Failure};
use crate::import::Import;
use crate::limit::LimitSources;
use crate::openapi::{self, Visible};
use crate::parse::{Incoming, parse};
use crate::plan::{OpenapiVersion, Plan, plan};
use crate::respond::Answer;
use crate::run::{self, Task};
use crate::timing::Timing;
use crate::transaction::TransactionSettings;
use crate::{context, import, respond};

/// The data API, ready to answer.
#[derive(Clone)]
pub struct Rest {
    database: DataPlane,
    schema: Arc<SchemaCache>,
    settings: Arc<RestSettings>,
    limits: LimitSources,
    /// Sent back as it came.
    trace_header: Option<HeaderName>,
}

impl Rest {
    /// Serves what `schema` knows, through `database`, as far as `limits` allow.
    #[must_use]
    pub fn new(
        database: DataPlane,
        schema: Arc<SchemaCache>,
        limits: LimitSources,
        settings: RestSettings,
    ) -> Self {
        // There from the start: an alert on a missing series would not fire.
        violations().absolute(0);
        let trace_header = settings.trace_header.as_deref().and_then(|name| name.parse().ok());
        Self { database, schema, settings: Arc::new(settings), limits, trace_header }
    }
}

/// Every path of the data API, to be nested where it is mounted. The verified caller must stand in the request's
/// extensions as [`Identity`]; without it every request is refused.
pub fn router(rest: Rest) -> Router {
    Router::new().route("/", any(handle)).route("/{*path}", any(handle)).fallback(handle).with_state(rest)
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
    let intake = RequestBody::read(&head, body, &rest.settings).await?;
    let incoming = Incoming {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: intake.body,
    };
    let mut limits = rest.limits.of(caller, &snapshot)?;
    let settings = limits.settings(&rest.settings);
    let mut timing = Timing::start(rest.settings.server_timing, head.extensions.get());
    let request = parse(&incoming, &settings)?;
    limits.check(&request)?;
    timing.mark("parse");
    let mut plan = plan(&request, &snapshot, &settings)?;
    if let Plan::Describe(allowed) = &plan {
        return Ok(respond::describe(&request, allowed));
    }
    limits.bind(&mut plan);
    let chosen =
        TransactionSettings::new(&rest.settings, snapshot.role_settings(&caller.role), plan.settings());
    let before = context::before(&rest.settings, &plan, chosen, &mut limits)?;
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
        isolation: chosen.isolation(),
        end: context::end(rest.settings.tx_end, request.prefer.tx),
    };
    if let Plan::Root(edition) = plan {
        let root = describe(rest, &context, &request.schema, &snapshot, (edition, base(&head))).await;
        return root.map_err(|error| limits.explain(error));
    }
    timing.mark("plan");
    let task = Task { database: &rest.database, context: &context, request: &request, settings: &settings };
    limits.require_affordable(task, &plan).await?;
    let answered = carry_out(task, &mut plan, intake.import, &head).await;
    timing.mark("transaction");
    let answer = answered.map_err(|error| limits.explain(error))?;
    let mut response = respond::respond(&request, &plan, answer)?;
    timing.mark("response");
    timing.show(response.headers_mut());
    Ok(response)
}

async fn carry_out(
    task: Task<'_>,
    plan: &mut Plan<'_>,
    import: Option<Import>,
    head: &Parts,
) -> Result<Answer, Error> {
    match (import, plan) {
        (Some(import), Plan::Write(write)) => {
            allow_time(head, task.settings.stream_timeout);
            import::run(task, write, import).await
        }
        (_, plan) => run::run(task, plan).await,
    }
}

/// An import takes as long as its body takes to arrive.
fn allow_time(head: &Parts, limit: Duration) {
    if let Some(deadline) = head.extensions.get::<Deadline>() {
        deadline.extend(limit);
    }
}

/// The description of what the caller may use.
async fn describe(
    rest: &Rest,
    context: &RequestContext<'_>,
    schema: &str,
    snapshot: &Snapshot,
    (edition, base): (OpenapiVersion, &str),
) -> Result<Response, Error> {
    let all = rest.settings.openapi_mode == OpenapiMode::IgnorePrivileges;
    let signed_in = *context.caller.role != *rest.settings.anon_role;
    let rows = rest.database.fly(context, &Visible::query(schema, all)).await;
    let visible = Visible::from_rows(rows.map_err(|error| Error::Database(error, signed_in))?);
    let document = match edition {
        OpenapiVersion::Two => openapi::document(snapshot, schema, &visible, base),
        OpenapiVersion::ThreeOne => openapi::document_v31(snapshot, schema, &visible, base),
    };
    Ok(respond::document(&document, context.method == "HEAD"))
}

/// The path below which the API is mounted.
fn base(head: &Parts) -> &str {
    let whole = head.extensions.get::<OriginalUri>().map_or("/", |uri| uri.0.path());
    let base = whole.strip_suffix(head.uri.path()).unwrap_or(whole).trim_end_matches('/');
    if base.is_empty() { "/" } else { base }
}

/// Writes that a row-level security policy refused.
fn violations() -> metrics::Counter {
    metrics::counter!("rls_violations_total")
}

/// What is no fault of the client is logged here, once; the client sees less.
fn log(error: Error) -> Failure {
    let cause = error.cause();
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
