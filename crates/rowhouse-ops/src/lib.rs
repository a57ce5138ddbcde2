#![doc = include_str!("../README.md")]

mod health;
mod process;
mod route;
mod user_sync;

pub use health::{Check, Checks, Health, Report, Status};
pub use route::{Ops, router};
pub use user_sync::UserSync;
