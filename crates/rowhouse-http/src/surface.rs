//! Surfaces: families of paths with a common prefix, error dialect, body limit and deadline.
//!
//! Leaves the surfaces themselves to the modules that define them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::Response;
use axum::routing::any_service;
use futures_util::{TryFutureExt, stream};
use http::{Method, Uri};
use percent_encoding::percent_decode_str;
use tower::{Service, ServiceExt, service_fn};

use crate::dialect::{Dialect, Fault};

/// Largest body by default, in bytes.
pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;

/// One family of paths.
#[derive(Debug, Clone)]
pub struct Surface {
    /// Its path prefix, such as `/rest/v1`; empty for paths at the server's root.
    pub prefix: String,
    /// How errors outside its own routes are written.
    pub dialect: Dialect,
    /// Its routes, relative to the prefix.
    pub router: Router,
    /// Largest body that axum's extractors accept, in bytes; a route that reads the body itself has its own limit.
    pub body_limit: usize,
    /// Paths below the prefix whose routes read `Authorization: Basic` themselves, and limit who guesses there: it is no
    /// invalid token.
    pub basic: &'static [&'static str],
    /// Whether API keys of organizations are accepted; what one may do is left to the routes.
    pub api_keys: bool,
    /// How long a request may take from head to answer; `server.request_timeout` if `None`.
    pub deadline: Option<Duration>,
    /// The prefix of the surface that this one serves once more under another: a path closed there is closed here.
    pub alias_of: Option<&'static str>,
    /// Its errors name what was not found: it answers requests with [`crate::Closed`] itself.
    pub answers_closed: bool,
    /// Whether requests of tenants are counted against what they may use.
    pub metered: bool,
}

impl Surface {
    /// A surface with the usual limits.
    #[must_use]
    pub fn new(prefix: impl Into<String>, dialect: Dialect, router: Router) -> Self {
        let (body_limit, basic) = (DEFAULT_BODY_LIMIT, &[][..]);
        let (api_keys, deadline, alias_of, answers_closed, metered) = (false, None, None, false, false);
        let prefix = prefix.into();
        Self {
            prefix,
            dialect,
            router,
            body_limit,
            basic,
            api_keys,
            deadline,
            alias_of,
            answers_closed,
            metered,
        }
    }

    /// A surface of single paths at the server's root.
    #[must_use]
    pub fn root(router: Router) -> Self {
        Self::new("", Dialect::PLAIN, router)
    }
}

/// Why surfaces cannot be served together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurfaceError {
    /// Not a path.
    #[error(
        "\"{0}\" is no path prefix: it begins with a slash, does not end with one, and has plain characters"
    )]
    Prefix(String),
    /// Two surfaces have the same prefix.
    #[error("the path prefix \"{0}\" is taken")]
    Taken(String),
}

/// A service that a route can call.
trait AnyService:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> AnyService for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// All surfaces of a process.
#[derive(Debug, Clone, Default)]
pub struct Surfaces(Vec<Surface>);

impl Surfaces {
    /// Checks that each has a prefix of its own.
    ///
    /// # Errors
    /// If a prefix is malformed or taken.
    pub fn new(surfaces: Vec<Surface>) -> Result<Self, SurfaceError> {
        let mut taken: Vec<&str> = Vec::new();
        for surface in surfaces.iter().filter(|surface| !surface.prefix.is_empty()) {
            if !is_prefix(&surface.prefix) {
                return Err(SurfaceError::Prefix(surface.prefix.clone()));
            }
            if taken.contains(&surface.prefix.as_str()) {
                return Err(SurfaceError::Taken(surface.prefix.clone()));
            }
            taken.push(&surface.prefix);
        }
        Ok(Self(surfaces))
    }

    /// The index that the layer uses.
    #[must_use]
    pub fn index(&self) -> SurfaceIndex {
        let mut known: Vec<Known> =
            self.0.iter().map(Known::of).filter(|one| !one.prefix.is_empty()).collect();
        known.sort_by_key(|one| std::cmp::Reverse(one.prefix.len()));
        SurfaceIndex(known.into())
    }

    /// The router of all surfaces; unknown paths get 404 in the dialect of the surface that they belong to.
    pub fn router(self) -> Router {
        let index = self.index();
        let prefixes: Vec<_> = index.0.iter().map(|known| known.prefix.clone()).collect();
        let unknown = async move |uri: Uri| index.dialect(uri.path()).fault(Fault::NoPath);
        let all = self.0.into_iter().fold(Router::new(), mount).fallback(unknown);
        // `nest` does not match the prefix with a trailing slash; it is treated as the prefix itself.
        prefixes.into_iter().fold(all.clone(), |router, prefix| {
            let with_slash = format!("{prefix}/");
            router.route(&with_slash, any_service(without_slash(all.clone(), prefix)))
        })
    }
}

fn mount(outer: Router, surface: Surface) -> Router {
    let inner = surface.router.layer(DefaultBodyLimit::max(surface.body_limit));
    match surface.prefix.as_str() {
        "" => outer.merge(inner),
        prefix => outer.nest(prefix, inner),
    }
}

/// Calls `router` with `path` in place of the request's; the query stays.
fn without_slash(router: Router, path: String) -> impl AnyService {
    service_fn(move |mut request: Request| {
        let target = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path.clone(),
        };
        if let Ok(uri) = Uri::try_from(target) {
            *request.uri_mut() = uri;
        }
        let is_head = request.method() == Method::HEAD;
        let answered = router.clone().oneshot(request);
        answered.map_ok(move |response| if is_head { of_unknown_length(response) } else { response })
    })
}

/// An answer to HEAD, emptied by the inner router: the outer one would take the empty body for the answer's and announce
/// its length, 0.
fn of_unknown_length(response: Response) -> Response {
    response.map(|_| Body::from_stream(stream::empty::<Result<Bytes, Infallible>>()))
}

fn is_prefix(text: &str) -> bool {
    let segment = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

/// Finds the surface of a path. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SurfaceIndex(Arc<[Known]>);

#[derive(Debug)]
struct Known {
    prefix: String,
    dialect: Dialect,
    basic: &'static [&'static str],
    api_keys: bool,
    deadline: Option<Duration>,
    alias_of: Option<&'static str>,
    answers_closed: bool,
    metered: bool,
}

impl Known {
    fn of(surface: &Surface) -> Self {
        let Surface { prefix, dialect, basic, api_keys, deadline, alias_of, answers_closed, metered, .. } =
            surface;
        let (prefix, dialect, api_keys) = (prefix.clone(), *dialect, *api_keys);
        let (deadline, alias_of, answers_closed) = (*deadline, *alias_of, *answers_closed);
        let metered = *metered;
        Self { prefix, dialect, basic, api_keys, deadline, alias_of, answers_closed, metered }
    }
}

/// The place of a path below a surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// The surface's prefix.
    pub(crate) prefix: &'a str,
    /// The path, decoded, as it is below the surface that this one is an alias of.
    pub(crate) path: Cow<'a, str>,
    /// Whether the surface answers requests with [`crate::Closed`] itself.
    pub(crate) answers_closed: bool,
}

impl SurfaceIndex {
    /// The dialect of a path, [`Dialect::PLAIN`] where no surface has one.
    #[must_use]
    pub fn dialect(&self, path: &str) -> Dialect {
        self.find(path).map_or(Dialect::PLAIN, |known| known.dialect)
    }

    /// The deadline of requests to this path, if its surface has one.
    #[must_use]
    pub fn deadline(&self, path: &str) -> Option<Duration> {
        self.find(path).and_then(|known| known.deadline)
    }

    /// Whether the path is below a surface's prefix.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Whether the path's surface accepts API keys of organizations.
    #[must_use]
    pub fn accepts_api_keys(&self, path: &str) -> bool {
        self.find(path).is_some_and(|known| known.api_keys)
    }

    /// Whether requests of tenants to this path are counted.
    pub(crate) fn is_metered(&self, path: &str) -> bool {
        self.find(path).is_some_and(|known| known.metered)
    }

    /// Where the path lies; `None` outside every prefix.
    pub(crate) fn place<'a>(&'a self, path: &'a str) -> Option<Place<'a>> {
        let known = self.find(path)?;
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let path = match known.alias_of {
            Some(named) => Cow::Owned(format!("{named}{}", decoded.strip_prefix(known.prefix.as_str())?)),
            None => decoded,
        };
        Some(Place { prefix: &known.prefix, path, answers_closed: known.answers_closed })
    }

    /// Whether the route of this path reads `Authorization: Basic` itself.
    #[must_use]
    pub fn reads_basic(&self, path: &str) -> bool {
        self.find(path).is_some_and(|known| {
            let rest = path.strip_prefix(known.prefix.as_str());
            rest.is_some_and(|rest| known.basic.contains(&rest))
        })
    }

    fn find(&self, path: &str) -> Option<&Known> {
        let is_below = |known: &&Known| {
            let rest = path.strip_prefix(known.prefix.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().find(is_below)
    }
}

#[cfg(test)]
mod tests;
