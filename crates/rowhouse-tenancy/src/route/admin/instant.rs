//! Times in bodies.

use rowhouse_http::api::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The field `expires_at`.
pub(super) fn read_end(text: &str) -> Result<OffsetDateTime, Problem> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Problem::invalid("expires_at: a time as in 2027-01-31T12:00:00Z"))
}
