#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod cluster;
mod contract;
pub mod crash;
mod database;
pub mod outage;
mod pooler;
mod program;
mod until;

pub use cluster::Cluster;
pub use contract::{Contract, Described, METHODS};
pub use database::TestDatabase;
pub use pooler::Pooler;
pub use until::until;
