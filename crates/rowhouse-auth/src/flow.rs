//! Flows, the decisions: no HTTP types, no SQL text.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod import;
pub(crate) mod password;
pub(crate) mod pkce;
pub(crate) mod refresh;
mod row_token;
pub(crate) mod session;
pub(crate) mod session_list;
pub(crate) mod signup;
