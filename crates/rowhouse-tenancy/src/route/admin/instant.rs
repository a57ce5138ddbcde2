//! Times in bodies.

use rowhouse_http::api::Problem;
use rowhouse_kernel::parse_instant;
use time::OffsetDateTime;

/// The field `expires_at`.
pub(super) fn read_end(text: &str) -> Result<OffsetDateTime, Problem> {
    parse_instant(text).ok_or_else(|| Problem::invalid("expires_at: a time as in 2027-01-31T12:00:00Z"))
}
