//! Requests for paths that are closed to their caller: answered as by a surface that has no such path.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::Uri;
use tower::ServiceExt;

use super::Layers;
use crate::gate::Closed;
use crate::identity::Identity;

/// How a request for a closed path is answered.
pub(super) enum Closing {
    /// By the surface itself.
    Told,
    /// By the surface's answer to this path, which it does not have.
    Elsewhere(Uri),
}

impl Closing {
    /// None if the path is open to the caller. Costs one look into memory while no path is closed to anybody.
    pub(super) fn of(layers: &Layers, request: &Request) -> Option<Self> {
        let gate = layers.gate.as_ref().map(|gate| &*gate.0).filter(|gate| gate.is_armed())?;
        let place = layers.surfaces.place(request.uri().path())?;
        let identity = request.extensions().get::<Identity>();
        let caller = identity.and_then(|identity| identity.caller().ok());
        if !gate.is_closed(&place.path, caller.map(|caller| &**caller)) {
            return None;
        }
        match place.answers_closed {
            true => Some(Self::Told),
            // No route has an empty segment.
            false => format!("{}//", place.prefix).parse().ok().map(Self::Elsewhere),
        }
    }

    /// The surface's answer.
    pub(super) async fn answer(self, layers: &Layers, mut request: Request, next: Next) -> Response {
        match self {
            Self::Told => {
                request.extensions_mut().insert(Closed);
                next.run(request).await
            }
            Self::Elsewhere(path) => {
                *request.uri_mut() = path;
                let answered = layers.routes.clone().oneshot(request).await;
                let mut response = answered.unwrap_or_else(|never| match never {});
                response.extensions_mut().insert(Closed);
                response
            }
        }
    }
}
