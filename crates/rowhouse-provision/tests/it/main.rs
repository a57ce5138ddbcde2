//! Provisioning on a real database with a worker. What callers see is tested with the whole program.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod hook;
mod run;
mod support;
mod undo;
