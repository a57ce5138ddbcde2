//! The query that a request would run, without running it.

use bytes::Bytes;
use http::{HeaderMap, Method};
use rowhouse_db::catalog::Snapshot;
use rowhouse_db::flight::{Access, Query};

use crate::error::{Error, ErrorResponse};
use crate::parse::{Incoming, parse};
use crate::plan::{PlanError, plan};
use crate::settings::RestSettings;
use crate::sql;

/// A request's query.
#[derive(Debug, Clone)]
pub struct Explained {
    /// SQL text and parameters, exactly as a request would send them.
    pub query: Query,
    /// Whether the transaction may write.
    pub access: Access,
}

/// A request as text, for [`explain`].
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// `GET`, `POST`…
    pub method: &'a Method,
    /// Below the mount point: `/todos?id=eq.1`.
    pub path_and_query: &'a str,
    /// `Prefer`, `Accept`, `Range`, `Content-Type` and the profile headers have an effect.
    pub headers: &'a HeaderMap,
    /// Request body.
    pub body: Bytes,
}

/// Parses, plans and renders a request without running it. A pure function.
///
/// # Errors
/// The failure that the request would be answered with before the database is asked.
pub fn explain(
    sample: &Sample<'_>,
    snapshot: &Snapshot,
    settings: &RestSettings,
) -> Result<Explained, Box<ErrorResponse>> {
    let (path, query) = sample.path_and_query.split_once('?').unwrap_or((sample.path_and_query, ""));
    let incoming = Incoming {
        method: sample.method.as_str(),
        path,
        query,
        headers: sample.headers,
        body: sample.body.clone(),
    };
    let fail = |error: Error| Box::new(ErrorResponse::from(error));
    let request = parse(&incoming, settings).map_err(|error| fail(error.into()))?;
    let plan = plan(&request, snapshot, settings).map_err(|error| fail(error.into()))?;
    let nothing = || fail(Error::Plan(PlanError::NotImplemented("Explaining OPTIONS is not implemented.")));
    let query = sql::main(&plan).ok_or_else(nothing)?;
    Ok(Explained { query, access: plan.access() })
}
