#![doc = include_str!("../README.md")]

mod address;
mod cors;
mod dialect;
mod identity;
mod layer;
mod metric;
mod patience;
mod server;
mod task;

pub use address::ClientAddress;
pub use cors::cors;
pub use dialect::Dialect;
pub use identity::{CallerResolver, ForeignTokens, Identity};
pub use layer::{Layers, RequestId, VerifyTime, observe};
pub use metric::Metrics;
pub use patience::Patience;
pub use server::{Drain, Server, serve};
pub use task::{
    BackgroundTask, Heartbeat, MAX_SILENCE, Supervisor, TaskEnd, TaskState, TaskStatus, TookTooLong,
};
