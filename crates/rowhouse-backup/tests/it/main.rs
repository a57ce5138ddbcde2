//! The store through its public interface, in a folder that is removed afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bucket;
mod command;
mod damaged;
mod dumped;
mod peer;
mod pgbackrest;
mod physical;
mod pruned;
mod scene;
mod stored;
mod told;
