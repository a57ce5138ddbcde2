//! The identity surface over HTTP, on a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod account;
mod admin;
mod anonymous;
mod app;
mod audit;
mod breach;
mod captcha;
mod confirmation;
mod doc;
mod email_change;
mod external;
mod factor;
mod gotrue;
mod hook;
mod input;
mod invite;
mod key;
mod letter;
mod mailbox;
mod passkey;
mod permission;
mod project_code;
mod recovery_code;
mod refresh;
mod refresh_storm;
mod round_trip;
mod row_token;
mod session;
mod signin;
mod signup;
mod source;
mod tenant;
mod webauthn;
