//! Errors about missing or ambiguous functions and relations.

use http::StatusCode;
use serde_json::json;

use super::ErrorResponse;
use crate::plan::{Candidate, NoRelation, UnknownFunction};

pub(super) fn unknown_table(schema: &str, table: &str, like: Option<String>) -> ErrorResponse {
    let message = format!("Could not find the table '{schema}.{table}' in the schema cache");
    let mut failure = ErrorResponse::new(StatusCode::NOT_FOUND, "PGRST205", message);
    failure.hint = like.map(|like| format!("Perhaps you meant the table '{schema}.{like}'"));
    failure
}

/// As PostgreSQL words it (`errorMissingColumn`).
pub(super) fn undefined_column(column: &str, like: &[String]) -> ErrorResponse {
    let mut failure =
        ErrorResponse::new(StatusCode::BAD_REQUEST, "42703", format!("column {column} does not exist"));
    let names: Vec<String> = like.iter().map(|name| format!("the column \"{name}\"")).collect();
    failure.hint =
        (!names.is_empty()).then(|| format!("Perhaps you meant to reference {}.", names.join(" or ")));
    failure
}

pub(super) fn ambiguous_function(candidates: &[String]) -> ErrorResponse {
    let message = format!("Could not choose the best candidate function between: {}", candidates.join(", "));
    ErrorResponse::new(StatusCode::MULTIPLE_CHOICES, "PGRST203", message).hint(
        "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    )
}

pub(super) fn related_order(origin: &str, target: &str) -> ErrorResponse {
    let message = format!("A related order on '{target}' is not possible");
    ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST118", message)
        .details(format!("'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"))
}

pub(super) fn unknown_function(unknown: &UnknownFunction) -> ErrorResponse {
    let name = format!("{}.{}", unknown.schema, unknown.name);
    let list = unknown.arguments.join(", ");
    let none = unknown.arguments.is_empty();
    let shown = match (unknown.only_single, none) {
        (true, _) => String::new(),
        (false, true) => " without parameters".to_owned(),
        (false, false) => format!("({list})"),
    };
    let named = match unknown.arguments.len() {
        0 => " without parameters".to_owned(),
        1 => format!(" with parameter {list}"),
        _ => format!(" with parameters {list}"),
    };
    let searched = match (unknown.single, unknown.only_single) {
        (Some(single), true) => format!(" with a single unnamed {single} parameter"),
        (Some(single), false) => format!("{named} or with a single unnamed {single} parameter"),
        (None, _) => named,
    };
    let message = format!("Could not find the function {name}{shown} in the schema cache");
    let mut failure = ErrorResponse::new(StatusCode::NOT_FOUND, "PGRST202", message).details(format!(
        "Searched for the function {name}{searched}, but no matches were found in the schema cache."
    ));
    failure.hint = unknown
        .like
        .as_ref()
        .map(|like| format!("Perhaps you meant to call the function {}.{like}", unknown.schema));
    failure
}

pub(super) fn not_embedded(target: &str, alias: Option<&str>) -> ErrorResponse {
    let message = format!("'{target}' is not an embedded resource in this request");
    let failure = ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST108", message);
    match alias {
        Some(alias) => failure
            .details("Target names are not allowed in filters if they have an alias")
            .hint(format!("Change '{target}' to '{alias}' in filters, orders or limits.")),
        None => failure.hint(format!("Verify that '{target}' is included in the 'select' query parameter.")),
    }
}

pub(super) fn no_relation(missing: NoRelation) -> ErrorResponse {
    let NoRelation { parent, child, hint, schema, like } = missing;
    let using = hint.map(|hint| format!("' using the hint '{hint}")).unwrap_or_default();
    let mut failure = ErrorResponse::new(
        StatusCode::BAD_REQUEST,
        "PGRST200",
        format!("Could not find a relationship between '{parent}' and '{child}' in the schema cache"),
    )
    .details(format!(
        "Searched for a foreign key relationship between '{parent}' and '{child}{using}' in the schema '{schema}', \
         but no matches were found."
    ));
    failure.hint = like.map(|(like, instead)| format!("Perhaps you meant '{like}' instead of '{instead}'."));
    failure
}

pub(super) fn ambiguous_relation(parent: &str, child: &str, candidates: &[Candidate]) -> ErrorResponse {
    let details: Vec<_> = candidates
        .iter()
        .map(|candidate| {
            json!({
                "cardinality": candidate.cardinality,
                "embedding": format!("{parent} with {}", candidate.target),
                "relationship": candidate.relationship,
            })
        })
        .collect();
    let hints: Vec<String> = candidates.iter().map(|c| format!("'{}!{}'", c.target, c.hint)).collect();
    let mut failure = ErrorResponse::new(
        StatusCode::MULTIPLE_CHOICES,
        "PGRST201",
        format!("Could not embed because more than one relationship was found for '{parent}' and '{child}'"),
    )
    .hint(format!(
        "Try changing '{child}' to one of the following: {}. Find the desired relationship in the 'details' key.",
        hints.join(", ")
    ));
    failure.details = Some(details.into());
    failure
}
