//! What of jobs is served over HTTP.

pub(crate) mod admin;
