//! Flows, the decisions: no HTTP types, no SQL text.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod anonymous;
pub(crate) mod email_change;
pub(crate) mod import;
pub(crate) mod invite;
pub(crate) mod letter_request;
mod new_user;
pub(crate) mod one_time;
pub(crate) mod password;
pub(crate) mod pkce;
pub(crate) mod reauthenticate;
pub(crate) mod refresh;
mod row_token;
pub(crate) mod session;
pub(crate) mod session_list;
pub(crate) mod signup;
mod signup_letter;
pub(crate) mod verify;
