#![doc = include_str!("../README.md")]

mod control;
mod error;
pub mod flight;
mod liveness;

pub use control::{Control, TransactionError};
pub use error::{DbError, PgError};
pub use flight::{DataPlane, DataPlaneUrls};
pub use liveness::{Health, Liveness};
