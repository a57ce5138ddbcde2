//! What of tenancy is served over HTTP.

pub(crate) mod admin;
pub(crate) mod audit;
