//! Limits set by the operator that a request exceeds: 422 with the limit, its holder and a hint.
//!
//! Not 408 or 429, which clients and proxies retry automatically: that would only repeat the cost.

use http::StatusCode;

use super::ErrorResponse;
use crate::limit::{Exceeded, Limit};

pub(super) fn failure(exceeded: &Exceeded) -> ErrorResponse {
    match exceeded {
        // PostgreSQL's own code, since clients check for it.
        Exceeded::Time(bound) => ErrorResponse::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "57014",
            "canceling statement due to statement timeout",
        )
        .details(format!("Statements of {} may run for {} ms.", holder(bound), bound.most.as_millis()))
        .hint("Ask for less: add filters that an index serves, or a limit."),
        Exceeded::Asked { rows, bound } => rows_failure("The request asks for more rows than allowed")
            .details(format!(
                "{rows} rows were asked for; {} may have {} at a time.",
                holder(bound),
                bound.most
            ))
            .hint("Ask for pages of at most that many rows, with limit and offset."),
        Exceeded::Written { rows, bound } => rows_failure("The request writes more rows than allowed")
            .details(format!(
                "{rows} rows would be written; {} may write {} at a time. Nothing was changed.",
                holder(bound),
                bound.most
            ))
            .hint("Write in several requests, each with fewer rows or a narrower filter."),
        Exceeded::Cost { cost, bound } => {
            let (holder, most) = (holder(bound), bound.most);
            let details = match cost {
                Some(cost) => {
                    let cost = coarse(*cost);
                    format!(
                        "Its estimated cost is about {cost}; that of {holder} may be {most}. It was not run."
                    )
                }
                None => format!("The estimated cost of a query of {holder} may be {most}. It was not run."),
            };
            ErrorResponse::new(StatusCode::UNPROCESSABLE_ENTITY, "RHL02", "The query costs more than allowed")
                .details(details)
                .hint("Ask for less: add filters that an index serves, or a limit.")
        }
    }
}

/// A mistake of the operator, not of the caller.
pub(super) fn unreadable(name: &str, value: &str) -> ErrorResponse {
    ErrorResponse::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "RHL00",
        format!("The role's setting {name} is no limit"),
    )
    .details(format!("It is \"{value}\"."))
    .hint("Correct it with ALTER ROLE, then NOTIFY pgrst.")
}

fn rows_failure(message: &str) -> ErrorResponse {
    ErrorResponse::new(StatusCode::UNPROCESSABLE_ENTITY, "RHL01", message)
}

fn holder<T>(bound: &Limit<T>) -> String {
    match &bound.role {
        Some(role) => format!("the role {role}"),
        None => "this tenant".to_owned(),
    }
}

/// Rounded to two significant digits: enough to act on, and too coarse to measure other tenants' rows in the same table.
fn coarse(cost: f64) -> f64 {
    let scale = 10_f64.powf(cost.abs().max(1.0).log10().floor() - 1.0);
    (cost / scale).round() * scale
}
