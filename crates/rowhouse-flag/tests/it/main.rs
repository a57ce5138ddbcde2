//! Flags on a real database. What they do over HTTP is tested with the whole program.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bound;
mod equal;
mod support;
