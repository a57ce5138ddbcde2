//! The identity surface over HTTP, on a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod account;
mod admin;
mod app;
mod audit;
mod breach;
mod captcha;
mod doc;
mod hook;
mod input;
mod key;
mod permission;
mod project_code;
mod refresh;
mod refresh_storm;
mod round_trip;
mod row_token;
mod session;
mod signin;
mod signup;
mod tenant;
