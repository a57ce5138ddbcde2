//! What is found in files, rule by rule.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod folder;
mod known;
mod page;
mod role;
mod support;
mod trap;
mod waiver;
