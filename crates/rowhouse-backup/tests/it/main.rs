//! The store through its public interface, in a folder that is removed afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bucket;
mod damaged;
mod peer;
mod pruned;
mod scene;
mod stored;
