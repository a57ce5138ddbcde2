//! Flows, the decisions: no HTTP types, no SQL text.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod assurance;
pub(crate) mod challenge;
pub(crate) mod factor;
pub(crate) mod holder;
pub(crate) mod import;
pub(crate) mod passkey;
pub(crate) mod passkey_signin;
pub(crate) mod password;
pub(crate) mod pkce;
pub(crate) mod proof;
pub(crate) mod recovery_code;
pub(crate) mod refresh;
pub(crate) mod session;
pub(crate) mod signup;
pub(crate) mod verification;
