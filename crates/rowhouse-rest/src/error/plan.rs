//! Errors of planning.

use http::StatusCode;

use super::{ErrorResponse, schema};
use crate::plan::PlanError;

pub(super) fn failure(error: PlanError) -> ErrorResponse {
    match error {
        PlanError::Media(types) => ErrorResponse::new(
            StatusCode::NOT_ACCEPTABLE,
            "PGRST107",
            format!("None of these media types are available: {}", types.join(", ")),
        ),
        PlanError::UnknownTable { schema, table, like } => schema::unknown_table(&schema, &table, like),
        PlanError::UnknownColumn { table, column } => ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "PGRST204",
            format!("Could not find the '{column}' column of '{table}' in the schema cache"),
        ),
        PlanError::UndefinedColumn { column, like } => schema::undefined_column(&column, &like),
        PlanError::UnknownFunction(unknown) => schema::unknown_function(&unknown),
        PlanError::AmbiguousFunction(candidates) => schema::ambiguous_function(&candidates),
        PlanError::PutFilters => ErrorResponse::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "PGRST105",
            "Filters must include all and only primary key columns with 'eq' operators",
        ),
        PlanError::Preferences(words) => ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "PGRST122",
            "Invalid preferences given with handling=strict",
        )
        .details(format!("Invalid preferences: {}", words.join(", "))),
        PlanError::Aggregates => ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "PGRST123",
            "Use of aggregate functions is not allowed",
        ),
        // An extension: PostgREST has no such clauses.
        PlanError::Clause(message) => ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST190", message),
        PlanError::MaxAffectedCall => ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "PGRST128",
            "Function must return SETOF or TABLE when max-affected preference is used with handling=strict",
        ),
        PlanError::NotEmbedded { target, alias } => schema::not_embedded(&target, alias.as_deref()),
        PlanError::RelatedOrder { origin, target } => schema::related_order(&origin, &target),
        PlanError::NoRelation(missing) => schema::no_relation(*missing),
        PlanError::AmbiguousRelation { parent, child, candidates } => {
            schema::ambiguous_relation(&parent, &child, &candidates)
        }
        // PostgREST leaves it to PostgreSQL to find this.
        PlanError::RepeatedEmbed(name) => ErrorResponse::new(
            StatusCode::BAD_REQUEST,
            "42712",
            format!("table name \"{name}\" specified more than once"),
        ),
        PlanError::NotImplemented(what) => {
            ErrorResponse::new(StatusCode::BAD_REQUEST, "PGRST127", "Feature not implemented").details(what)
        }
        PlanError::RootDisabled => {
            ErrorResponse::new(StatusCode::NOT_FOUND, "PGRST126", "Root endpoint metadata is disabled")
        }
    }
}
