//! Resolves overloads by the names of the arguments alone.

use std::borrow::Cow;

use rowhouse_db::catalog::{Function, Snapshot};

use super::error::UnknownFunction;
use super::{PlanError, hint};
use crate::request::Media;

/// The arguments of a call.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// Argument names, sorted, each once.
    pub(super) names: Vec<&'a str>,
    /// The body's type, when there is a body.
    pub(super) body: Option<&'a Media>,
}

/// The one function that fits: by named arguments, else one with a single unnamed argument for the whole body.
pub(super) fn find<'a>(
    snapshot: &'a Snapshot,
    schema: &str,
    name: &str,
    given: &Given<'_>,
) -> Result<&'a Function, PlanError> {
    let overloads = snapshot.functions(schema, name);
    let fitting: Vec<&Function> = overloads.iter().filter(|function| fits(function, given)).collect();
    let whole = || {
        overloads.iter().filter(|function| !fits(function, given) && takes_body(function, given)).collect()
    };
    let found = if fitting.is_empty() { whole() } else { fitting };
    match found.as_slice() {
        [function] => Ok(function),
        [] => Err(unknown(snapshot, schema, name, given, overloads)),
        several => Err(ambiguous(several)),
    }
}

/// In PostgREST's order: fewest arguments first, then by their names and types.
fn ambiguous(several: &[&Function]) -> PlanError {
    let mut sorted = several.to_vec();
    sorted.sort_by_cached_key(|function| {
        let arguments: Vec<(String, String)> =
            function.arguments.iter().map(|a| (a.name.clone(), a.type_name.clone())).collect();
        (arguments.len(), arguments)
    });
    PlanError::AmbiguousFunction(sorted.into_iter().map(signature).collect())
}

fn fits(function: &Function, given: &Given<'_>) -> bool {
    if function.arguments.is_empty() {
        return given.names.is_empty() && !given.is_raw();
    }
    let required_given = function
        .arguments
        .iter()
        .filter(|argument| argument.required)
        .all(|argument| given.names.binary_search(&argument.name.as_str()).is_ok());
    let all_known = given.names.iter().all(|name| function.arguments.iter().any(|a| a.name == *name));
    required_given && all_known
}

fn takes_body(function: &Function, given: &Given<'_>) -> bool {
    let [argument] = function.arguments.as_slice() else { return false };
    argument.name.is_empty()
        && matches!(
            (given.body, argument.type_name.as_str()),
            (Some(Media::Json), "json" | "jsonb")
                | (Some(Media::Text), "text")
                | (Some(Media::Xml), "xml")
                | (Some(Media::Binary), "bytea")
        )
}

impl Given<'_> {
    fn is_raw(&self) -> bool {
        matches!(self.body, Some(Media::Text | Media::Xml | Media::Binary))
    }
}

pub(super) fn unknown(
    snapshot: &Snapshot,
    schema: &str,
    name: &str,
    given: &Given<'_>,
    overloads: &[Function],
) -> PlanError {
    let arguments: Vec<String> = given.names.iter().map(|name| (*name).to_owned()).collect();
    let like = if given.is_raw() {
        None
    } else if overloads.is_empty() {
        hint::similar(name, snapshot.function_names(schema).filter(|other| *other != name))
    } else {
        let lists: Vec<String> = overloads.iter().map(argument_list).collect();
        let wanted = format!("({})", arguments.join(", "));
        hint::most_similar(&wanted, lists.iter().map(String::as_str), 0.33)
            .map(|list| format!("{name}{list}"))
    };
    let single = match given.body {
        Some(Media::Json) => Some("json/jsonb"),
        Some(Media::Text) => Some("text"),
        Some(Media::Xml) => Some("xml"),
        Some(Media::Binary) => Some("bytea"),
        _ => None,
    };
    let (schema, name) = (schema.to_owned(), name.to_owned());
    PlanError::UnknownFunction(Box::new(UnknownFunction {
        schema,
        name,
        arguments,
        single,
        only_single: given.is_raw(),
        like,
    }))
}

fn argument_list(function: &Function) -> String {
    let mut names: Vec<&str> = function.arguments.iter().map(|argument| argument.name.as_str()).collect();
    names.sort_unstable();
    format!("({})", names.join(", "))
}

/// A function with its arguments, for a person.
fn signature(function: &Function) -> String {
    let arguments: Vec<Cow<'_, str>> =
        function.arguments.iter().map(|a| format!("{} => {}", a.name, a.type_name).into()).collect();
    format!("{}.{}({})", function.name.schema, function.name.name, arguments.join(", "))
}
