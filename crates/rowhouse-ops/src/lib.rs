#![doc = include_str!("../README.md")]

mod exposure;
mod health;
mod module;
mod process;
mod readiness;
mod route;

pub use exposure::exposures;
pub use health::{Health, HealthReport, Status};
pub use module::OpsModule;
pub use route::{Ops, router};
