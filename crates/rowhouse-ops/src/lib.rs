#![doc = include_str!("../README.md")]

mod exposure;
mod health;
mod module;
mod process;
mod readiness;
mod route;
mod user_sync;

pub use exposure::exposures;
pub use health::{Health, HealthReport, Status};
pub use module::OpsModule;
pub use route::{Ops, router};
pub use user_sync::UserSync;
