#![doc = include_str!("../README.md")]

mod address;
pub mod api;
mod cors;
mod deadline;
mod dialect;
mod gate;
mod identity;
mod json;
mod layer;
pub mod limit;
mod meter;
mod metric;
mod server;
mod settings;
mod surface;
mod task;

pub use address::ClientAddress;
pub use deadline::Deadline;
pub use dialect::{Dialect, Fault};
pub use gate::{Closed, Gate, RouteGate};
pub use identity::{
    ApiKeys, CallerResolver, ForeignTokens, Identity, LiveCaller, LiveCallerError, PresentedKey, ProvenLive,
    SESSION_ENDED, ServiceKey, ServiceKeyError,
};
pub use json::{JsonError, read_object, without_type_names};
pub use layer::{Layers, RequestId, VerifyTime};
pub use meter::{CallMeter, Meter, UsageLimit};
pub use metric::Metrics;
pub use server::{Drain, Http, Listener, Peer, Protocol, Server, Shutdown, Stream, accept, serve};
pub use settings::ServerSettings;
pub use surface::{DEFAULT_BODY_LIMIT, Surface, SurfaceError, SurfaceIndex, Surfaces};
pub use task::{
    BackgroundTask, Heartbeat, MAX_SILENCE, Supervisor, TaskEnd, TaskFault, TaskState, TaskStatus,
    TookTooLong,
};
