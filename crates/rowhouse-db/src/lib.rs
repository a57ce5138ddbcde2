#![doc = include_str!("../README.md")]

mod error;
pub mod flight;

pub use error::{DbError, PgError};
