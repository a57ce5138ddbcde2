//! Flows, the decisions: no HTTP types, no SQL text.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod custom_provider;
pub(crate) mod external;
pub(crate) mod import;
pub(crate) mod password;
pub(crate) mod pkce;
pub(crate) mod refresh;
pub(crate) mod session;
pub(crate) mod signup;
