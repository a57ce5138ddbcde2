//! The framework of `/admin/v1`: routes with descriptions, and the OpenAPI 3.1 document generated from them.
//!
//! Leaves the routes to the crates that define them, and authorization to their handlers.

mod describe;
mod idempotency;
mod input;
mod output;
mod page;
mod problem;
mod version;

use aide::axum::ApiRouter;
use aide::axum::routing::ApiMethodRouter;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{Method, StatusCode, header};
use serde_json::Value;

pub use aide::axum::routing;
pub use describe::operation;
pub use idempotency::{Idempotency, KeptAnswer, Once, Replay, StoredResponse, idempotent};
pub use input::{Body, Params, Segment, Segments, SentBody, ThreeSegments};
pub use output::{Created, NoContent, Raw};
pub use page::{Cursor, Page, limit};
pub use problem::Problem;
pub use version::{ETag, IfMatch, Tagged};

const DOCUMENT_TYPE: &str = "application/openapi+json;version=3.1";

/// Routes of one crate; each is described. Built without the state that serves them, so that the document can be
/// generated without a database.
pub struct Routes<S>(ApiRouter<S>);

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self(ApiRouter::new())
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Adds a path; `/` is the prefix itself.
    #[must_use]
    pub fn at(self, path: &str, methods: ApiMethodRouter<S>) -> Self {
        Self(self.0.api_route(path, methods))
    }
}

/// The admin API of all crates.
#[derive(Clone)]
pub struct AdminApi {
    document: Value,
    router: Router,
}

impl Default for AdminApi {
    fn default() -> Self {
        Self { document: describe::empty(), router: Router::new() }
    }
}

impl AdminApi {
    /// Describes and serves a crate's routes below `prefix`, such as `/jobs`.
    #[must_use]
    pub fn serve<S>(mut self, prefix: &str, routes: fn() -> Routes<S>, state: S) -> Self
    where
        S: Clone + Send + Sync + 'static,
    {
        let router = self.describe(prefix, routes);
        self.router = self.router.merge(router.with_state(state));
        self
    }

    /// Describes them only.
    pub fn describe<S>(&mut self, prefix: &str, routes: fn() -> Routes<S>) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        describe::add(&mut self.document, prefix, || routes().0)
    }

    /// The OpenAPI 3.1 document.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The router of all routes; the document is at `/openapi.json`.
    pub fn router(self) -> Router {
        let document = self.document.to_string();
        let document = async move || ([(header::CONTENT_TYPE, DOCUMENT_TYPE)], document).into_response();
        let document = get(document);
        self.router
            .route("/openapi.json", document)
            .fallback(unknown)
            .method_not_allowed_fallback(not_allowed)
    }
}

/// Names no path: one that is closed to the caller gets the same answer.
async fn unknown() -> Problem {
    Problem::not_found("no such path")
}

async fn not_allowed(method: Method) -> Problem {
    let text = format!("{method:.32} is not possible here");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
}

#[cfg(test)]
mod tests;
