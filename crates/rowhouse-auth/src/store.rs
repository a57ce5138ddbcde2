//! SQL as functions that take a connection or transaction and return typed rows. Nothing is decided here.
//!
//! Statements are sent with their parameter types, which saves the round trip for preparing.

pub(crate) mod api_key;
pub(crate) mod assurance;
pub(crate) mod audit;
pub(crate) mod audit_log;
pub(crate) mod captured_message;
pub(crate) mod challenge;
pub(crate) mod code_failure;
pub(crate) mod custom_provider;
pub(crate) mod external_flow;
pub(crate) mod factor;
pub(crate) mod flow_state;
pub(crate) mod hook;
pub(crate) mod identity;
pub(crate) mod impersonation;
pub(crate) mod import;
pub(crate) mod key;
pub(crate) mod letter_user;
pub(crate) mod oauth_authorization;
pub(crate) mod oauth_client;
pub(crate) mod oauth_consent;
pub(crate) mod one_time_token;
pub(crate) mod passkey;
pub(crate) mod phone_user;
pub(crate) mod prepared_user;
pub(crate) mod recovery_code;
pub(crate) mod refresh;
pub(crate) mod refresh_token;
pub(crate) mod sealed_column;
pub(crate) mod session;
pub(crate) mod session_list;
pub(crate) mod sign_in;
pub(crate) mod signin_failure;
pub(crate) mod user;
pub(crate) mod user_change;
pub(crate) mod user_creation;
pub(crate) mod user_deletion;

/// The statements of a refresh, which are sent together, and the one of `GET /user`: for measuring PostgreSQL alone.
pub const REFRESH_STATEMENTS: [&str; 2] = [refresh::EXCHANGE, user::OF_SESSION];
/// See [`REFRESH_STATEMENTS`].
pub const USER_STATEMENT: &str = user::LIVE;
