//! `/admin/v1`: the control plane, for holders of the service key. Its errors are RFC 9457 problem details.

mod jobs;
mod problem;
mod schedules;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Method, Uri};
use rowhouse_db::Control;
use rowhouse_http::{ServiceKey, ServiceKeyError};

pub(crate) use problem::Problem;

/// Most bytes of a request's body.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// What there is, as OpenAPI 3.1.
const OPENAPI: &str = include_str!("../openapi/admin.json");

/// Everything below `/admin/v1`.
pub(crate) fn router(control: Control) -> Router {
    Router::new()
        .route("/openapi.json", get(openapi))
        .nest("/jobs", jobs::router(control))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/openapi+json;version=3.1")], OPENAPI).into_response()
}

async fn unknown(uri: Uri) -> Problem {
    Problem::NotFound(format!("no such path: {}", uri.path()))
}

async fn not_allowed(method: Method) -> Problem {
    Problem::NotAllowed(method)
}

/// A caller with the service key, or a user of that role whose session stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Administrator;

impl FromRequestParts<Control> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Problem> {
        match ServiceKey::require(parts, control).await {
            Ok(_) => Ok(Self),
            Err(ServiceKeyError::Db(error)) => Err(error.into()),
            Err(ServiceKeyError::NotService) => Err(Problem::NotAdmin),
            Err(ServiceKeyError::NoToken | ServiceKeyError::BadToken(_) | ServiceKeyError::Ended) => {
                Err(Problem::NoToken)
            }
        }
    }
}

/// The part of the path that names something, as text that PostgreSQL can hold.
#[derive(Debug, Clone)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Sync + Send> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::Malformed(error.body_text()))?;
        match text.contains('\0') {
            true => Err(Problem::Refused("a name has no NUL".to_owned())),
            false => Ok(Self(text)),
        }
    }
}
