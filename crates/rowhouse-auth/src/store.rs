//! SQL as functions that take a connection or transaction and return typed rows. Nothing is decided here.
//!
//! Statements are sent with their parameter types, which saves the round trip for preparing.

pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod custom_provider;
pub(crate) mod external_flow;
pub(crate) mod flow_state;
pub(crate) mod hook;
pub(crate) mod identity;
pub(crate) mod import;
pub(crate) mod key;
pub(crate) mod refresh_token;
pub(crate) mod session;
pub(crate) mod signin_failure;
pub(crate) mod user;
