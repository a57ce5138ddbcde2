//! Routes of health, version and metrics.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use metrics::gauge;
use rowhouse_db::Database;
use rowhouse_http::limit::{AddressLimit, RateReport};
use rowhouse_http::{ClientAddress, Dialect, Fault, Metrics, Shutdown};
use rowhouse_kernel::Secret;
use rowhouse_tenancy::user_sync::{Trigger, UserSync};
use serde_json::json;

use crate::health::{Health, HealthReport, Status};
use crate::process;

/// What monitors look for in the body.
const HEALTHY: &str = "\"status\": \"healthy\"";

/// State of the routes. Cheap to clone.
#[derive(Clone)]
pub struct Ops {
    /// Measures.
    pub health: Health,
    /// The registry.
    pub metrics: Metrics,
    /// During shutdown the process is not ready.
    pub shutdown: Shutdown,
    /// For the pools' gauges.
    pub database: Database,
    /// Allows `/metrics` from addresses other than loopback.
    pub metrics_token: Option<Arc<Secret>>,
    /// Wrong tokens, by address.
    pub bad_tokens: AddressLimit,
}

/// `/health`, `/health/live`, `/health/ready`, `/version`, `/metrics`, and a URL that existing deployment
/// guides monitor.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/admin/users/health-check", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .with_state(ops)
}

async fn health(
    State(ops): State<Ops>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Response {
    let mut report = ops.health.report().await;
    if !may_read(&ops, address, &headers) {
        report.reasons.clear();
    }
    let status =
        if report.status == Status::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = match text(&report) {
        Ok(body) => body,
        Err(error) => {
            return Dialect::PLAIN.error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string());
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    let mut response = (status, headers, body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Pretty-printed with a space after each colon: monitors match `"status": "healthy"` as text, anywhere in the body. So
/// while the whole is not healthy, a healthy part is spelled without the space.
fn text(report: &HealthReport) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    if report.status != Status::Healthy {
        text = text.replace(HEALTHY, &HEALTHY.replace(' ', ""));
    }
    text.push('\n');
    Ok(text)
}

async fn live() -> Json<serde_json::Value> {
    Json(json!({ "status": "alive" }))
}

async fn ready(State(ops): State<Ops>) -> Response {
    let ready = match ops.shutdown.is_leaving() {
        true => Err("stopping".to_owned()),
        false => ops.health.ready().await,
    };
    match ready {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(reason) => Dialect::PLAIN.error(StatusCode::SERVICE_UNAVAILABLE, "not_ready", &reason),
    }
}

async fn version() -> Json<serde_json::Value> {
    Json(json!({ "name": "rowhouse", "version": env!("CARGO_PKG_VERSION") }))
}

async fn metrics(
    State(ops): State<Ops>,
    Extension(address): Extension<ClientAddress>,
    Extension(rates): Extension<RateReport>,
    headers: HeaderMap,
) -> Response {
    if !may_read(&ops, address, &headers) {
        return match ops.bad_tokens.check(address.0, &rates).await {
            Ok(()) => {
                let message = "metrics are open to loopback and to the metrics token";
                Dialect::PLAIN.error(StatusCode::FORBIDDEN, "forbidden", message)
            }
            Err(_) => Dialect::PLAIN.fault(Fault::Guessing),
        };
    }
    process::record();
    ops.database.data.record_counts();
    ops.database.lookups.record_counts();
    record_control(&ops);
    record_user_sync(&ops).await;
    let content_type = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    ([content_type], ops.metrics.render()).into_response()
}

/// Loopback, and who has the metrics token.
fn may_read(ops: &Ops, address: ClientAddress, headers: &HeaderMap) -> bool {
    address.0.is_loopback() || has_token(headers, ops.metrics_token.as_deref())
}

fn record_control(ops: &Ops) {
    let (open, idle) = ops.database.control.counts();
    gauge!("db_client_connection_count", "pool" => "control", "state" => "used")
        .set(open.saturating_sub(idle) as f64);
    gauge!("db_client_connection_count", "pool" => "control", "state" => "idle").set(idle as f64);
    gauge!("database_connections").set(ops.database.connection_count() as f64);
}

/// Without an answer the gauges become NaN instead of keeping an old value.
async fn record_user_sync(ops: &Ops) {
    let sync = tokio::time::timeout(std::time::Duration::from_millis(1500), ops.health.user_sync()).await;
    let number = |value: fn(&UserSync) -> f64| match &sync {
        Ok(Ok(sync)) => value(sync),
        _ => f64::NAN,
    };
    gauge!("rowhouse_user_sync_users").set(number(|sync| sync.total_auth_users as f64));
    gauge!("rowhouse_user_sync_missing_profiles").set(number(|sync| sync.missing_profiles as f64));
    gauge!("rowhouse_user_sync_percentage").set(number(|sync| sync.sync_percentage));
    let is_active = |sync: &UserSync| f64::from(sync.trigger == Trigger::Active);
    gauge!("rowhouse_user_sync_trigger_active").set(number(is_active));
}

/// Compares digests, so that the duration does not depend on the token.
fn has_token(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let Some(token) = token else { return false };
    let given =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    given.is_some_and(|given| {
        rowhouse_crypto::digest_hex(given) == rowhouse_crypto::digest_hex(token.expose())
    })
}
