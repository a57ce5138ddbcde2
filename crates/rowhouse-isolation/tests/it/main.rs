//! The audit on real catalogs: every check with a defect and its correction, the platform's own schemas, the example, odd names.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod case;
mod clean;
mod keys;
mod odd_name;
mod prove;
mod support;
mod tripwire;
mod waived;
