//! From an HTTP request to an [`ApiRequest`]: path, query string, headers, body. A pure function.
//!
//! Independent of the schema; whether named objects exist is checked in [`crate::plan`].

mod body;
mod clause;
mod content;
mod csv;
mod cursor;
mod error;
mod filter;
mod json;
mod lines;
mod logic;
mod media;
mod name;
mod order;
mod pair;
mod prefer;
mod query;
mod range;
mod resource;
mod select;
mod target;

pub(crate) use error::{QueryError, RangeProblem, RequestError};
pub(crate) use lines::{Batch, check as check_lines};
pub(crate) use media::parse as media;
pub(crate) use prefer::parse as preferences;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;

use crate::request::{Action, ApiRequest, CallMethod, Media, Mutation};
use crate::settings::RestSettings;

/// The deepest nesting of logic trees and embeds. PostgREST sets no limit; this one bounds recursion.
pub(crate) const MAX_DEPTH: usize = 64;
/// The most items of one `select` level or `order`: PostgreSQL allows 1664 target list entries.
pub(crate) const MAX_ITEMS: usize = 1_600;

/// A request as it came, its body already read.
#[derive(Debug, Clone)]
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    /// Below the mount point, beginning with a slash.
    pub(crate) path: &'a str,
    /// Without the question mark.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
}

impl<'a> Incoming<'a> {
    /// A request with its body.
    pub(crate) fn of(head: &'a Parts, body: Bytes) -> Self {
        let query = head.uri.query().unwrap_or_default();
        Self { method: head.method.as_str(), path: head.uri.path(), query, headers: &head.headers, body }
    }
}

/// Parses a request.
///
/// # Errors
/// What is wrong with it; always the client's fault.
pub(crate) fn parse(incoming: &Incoming<'_>, settings: &RestSettings) -> Result<ApiRequest, RequestError> {
    let action = resource::action(incoming.method, incoming.path, settings)?;
    let (schema, names_schema) = resource::schema(incoming, settings)?;
    let is_argument_query =
        matches!(&action, Action::Call { method: CallMethod::Get | CallMethod::Head, .. });
    let text = content::query(incoming)?;
    let mut query = query::parse(&text, is_argument_query)?;
    let legacy_targets = if settings.legacy_target_names { target::rename(&mut query) } else { Vec::new() };
    let ranges = range::resolve(incoming, &query.limits)?;
    if matches!(&action, Action::Write { mutation: Mutation::Replace, .. })
        && ranges.root != crate::request::RowRange::ALL
    {
        return Err(RequestError::PutRange);
    }
    let content_type = header(incoming.headers, "content-type").map_or(Media::Json, media::parse);
    let columns = query.columns.filter(|_| takes_columns(&action));
    let payload = body::parse(&incoming.body, &content_type, columns.as_deref(), &action, settings)?;
    Ok(ApiRequest {
        canonical: content::location(incoming.method, &action, text.len(), query.pairs),
        action,
        schema,
        names_schema,
        select: query.select,
        filters: query.filters,
        logic: query.logic,
        order: query.order,
        distinct: query.distinct,
        having: query.having,
        embed_ranges: ranges.embeds,
        range: ranges.root,
        names_columns: columns.is_some(),
        on_conflict: query.on_conflict,
        arguments: query.arguments,
        prefer: preferences(incoming.headers, settings.tx_end),
        accept: media::accept(incoming.headers),
        content_type,
        payload,
        legacy_targets,
    })
}

fn takes_columns(action: &Action) -> bool {
    matches!(
        action,
        Action::Write { mutation: Mutation::Insert | Mutation::Update, .. }
            | Action::Call { method: CallMethod::Post, .. }
    )
}

/// A header's value, when it is visible ASCII.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests;
