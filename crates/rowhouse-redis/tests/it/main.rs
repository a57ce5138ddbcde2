//! The shared store against a real server.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod rates;
mod tls;
