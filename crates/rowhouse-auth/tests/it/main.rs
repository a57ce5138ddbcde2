//! The identity surface over HTTP, on a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod account;
mod admin;
mod app;
mod audit;
mod breach;
mod captcha;
mod doc;
mod external;
mod hook;
mod input;
mod key;
mod permission;
mod project_code;
mod refresh;
mod signin;
mod signup;
mod tenant;
