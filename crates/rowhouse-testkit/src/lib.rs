#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod app;
mod cluster;
mod contract;
pub mod crash;
mod database;
mod name_server;
pub mod outage;
mod pooler;
mod program;
mod receiver;
mod redis;
mod trip;
mod until;

pub use app::{Setup, TestApp, TestResponse};
pub use cluster::Cluster;
pub use contract::{Contract, Described, METHODS};
pub use database::{TestDatabase, platform_migrations};
pub use name_server::NameServer;
pub use pooler::Pooler;
pub use receiver::{Received, Receiver, SILENCE};
pub use redis::RedisServer;
pub use rowhouse_crypto::webauthn::soft::SoftAuthenticator;
pub use trip::{Break, TripCounter};
pub use until::{LIMIT, in_time, until, until_own_time, until_some, until_true};
