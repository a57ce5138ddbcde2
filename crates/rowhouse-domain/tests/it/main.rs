//! Proofs of domains, looked for again on a real database, at a name server and web servers that say what a test tells them.
//! What callers see is tested with the whole program.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod change;
mod recheck;
mod support;
