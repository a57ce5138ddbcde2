//! The body with which organizations and tenants are suspended.

use schemars::JsonSchema;
use serde::Deserialize;

/// Body of a suspension.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suspension {
    /// For operators, at most 500 characters.
    #[schemars(length(max = 500))]
    pub(super) reason: String,
}
