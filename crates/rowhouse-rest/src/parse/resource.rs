//! Path and method: which resource, which action, which schema.

use percent_encoding::percent_decode_str;

use super::content::QUERY;
use super::{Incoming, QueryError, RequestError};
use crate::request::{Action, CallMethod, Mutation};
use crate::settings::{OpenapiMode, RestSettings};

enum Resource {
    /// The OpenAPI description.
    Root,
    Table(String),
    Function(String),
}

/// The action of a method on a path.
pub(super) fn action(method: &str, path: &str, settings: &RestSettings) -> Result<Action, RequestError> {
    let read = method == "GET" || method == "HEAD";
    Ok(match (resource(path, settings)?, method) {
        (Resource::Root, _) if read => Action::ReadRoot { headers_only: method == "HEAD" },
        (Resource::Root, "OPTIONS") => Action::DescribeRoot,
        (Resource::Table(table), _) if read => Action::Read { table, headers_only: method == "HEAD" },
        (Resource::Table(table), QUERY) => Action::Read { table, headers_only: false },
        (Resource::Table(table), "OPTIONS") => Action::DescribeTable(table),
        (Resource::Table(table), "POST") => Action::Write { table, mutation: Mutation::Insert },
        (Resource::Table(table), "PATCH") => Action::Write { table, mutation: Mutation::Update },
        (Resource::Table(table), "PUT") => Action::Write { table, mutation: Mutation::Replace },
        (Resource::Table(table), "DELETE") => Action::Write { table, mutation: Mutation::Delete },
        (Resource::Function(function), "GET" | QUERY) => Action::Call { function, method: CallMethod::Get },
        (Resource::Function(function), "HEAD") => Action::Call { function, method: CallMethod::Head },
        (Resource::Function(function), "POST") => Action::Call { function, method: CallMethod::Post },
        (Resource::Function(function), "OPTIONS") => Action::DescribeFunction(function),
        (Resource::Function(_), other) => return Err(RequestError::CallMethod(other.to_owned())),
        (_, other) => return Err(RequestError::Method(other.to_owned())),
    })
}

fn resource(path: &str, settings: &RestSettings) -> Result<Resource, RequestError> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(root_function(settings)
            .map_or(Resource::Root, |(_, function)| Resource::Function(function.to_owned())));
    }
    let mut parts = path.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("rpc"), Some(function), None) => part(function).map(Resource::Function),
        (Some(table), None, None) => part(table).map(Resource::Table),
        _ => Err(RequestError::Path),
    }
}

/// Schema, if it is named, and name of the function that answers the root; none where the root is switched off.
fn root_function(settings: &RestSettings) -> Option<(Option<&str>, &str)> {
    let name = settings.root_spec.as_deref().filter(|_| settings.openapi_mode != OpenapiMode::Disabled)?;
    Some(name.split_once('.').map_or((None, name), |(schema, name)| (Some(schema), name)))
}

fn part(text: &str) -> Result<String, RequestError> {
    let wrong = |reason: &str| {
        RequestError::Query(QueryError {
            message: "\"failed to parse path\" (line 1, column 1)".to_owned(),
            details: format!("unexpected {reason}"),
        })
    };
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| wrong("invalid UTF-8"))?;
    if decoded.contains('\0') { Err(wrong("NUL character")) } else { Ok(decoded.into_owned()) }
}

/// The schema asked for by profile headers, and whether the answer names it.
pub(super) fn schema(
    incoming: &Incoming<'_>,
    settings: &RestSettings,
) -> Result<(String, bool), RequestError> {
    let is_root = incoming.path.trim_start_matches('/').is_empty();
    let root_schema = root_function(settings).filter(|_| is_root).and_then(|(schema, _)| schema);
    if let Some(schema) = root_schema.filter(|_| !incoming.headers.contains_key("accept-profile")) {
        return Ok((schema.to_owned(), settings.schemas.len() > 1));
    }
    let name = match incoming.method {
        "POST" | "PATCH" | "PUT" | "DELETE" => "content-profile",
        _ => "accept-profile",
    };
    // A schema's name may have letters of all alphabets; an undecodable one is unknown.
    let asked = incoming.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match asked.as_deref() {
        Some(asked) if settings.schemas.iter().any(|schema| schema == asked) => Ok((asked.to_owned(), true)),
        Some(asked) => {
            Err(RequestError::Schema { asked: asked.to_owned(), served: settings.schemas.clone() })
        }
        None => Ok((settings.schemas.first().cloned().unwrap_or_default(), settings.schemas.len() > 1)),
    }
}

#[cfg(test)]
mod tests;
