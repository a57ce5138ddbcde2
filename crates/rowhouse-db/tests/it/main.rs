//! The database crate against a real server.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod bootstrap;
mod catalog;
mod control;
mod database_setting;
mod example;
mod failover;
mod flight;
mod leftover;
mod liveness;
mod lookup;
mod migrate;
mod options;
mod plan;
mod pooler;
mod protect;
mod replication;
mod runner;
mod share;
mod shared_send;
mod stream;
mod support;
mod tls;
mod trace_rows;
