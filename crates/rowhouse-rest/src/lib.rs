#![doc = include_str!("../README.md")]

mod cache;
mod ceiling;
mod chosen;
mod context;
mod error;
pub mod explain;
mod import;
mod intake;
mod module;
mod openapi;
mod parse;
mod plan;
mod request;
mod respond;
mod routes;
mod run;
mod sql;
mod stream;
mod timing;

pub use cache::SchemaCache;
pub use ceiling::Ceilings;
pub use error::Failure;
pub use explain::{Explained, Sample, explain};
pub use module::RestModule;
pub use routes::{Rest, router};
