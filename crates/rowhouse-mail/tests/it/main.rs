//! Mails against a real PostgreSQL and a real SMTP server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod accept;
mod capture;
mod deliver;
mod list;
mod peer;
mod recheck;
mod relay;
mod signature;
mod submission;
mod support;
mod webhook;
