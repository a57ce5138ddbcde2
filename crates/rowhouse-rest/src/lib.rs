#![doc = include_str!("../README.md")]

mod admit;
mod body;
mod cache;
mod command;
mod context;
mod error;
pub mod explain;
mod header;
mod import;
mod limit;
mod literal;
mod module;
mod openapi;
mod parse;
mod plan;
pub mod postgrest;
mod prepare;
mod request;
mod respond;
mod routes;
mod run;
mod settings;
mod sql;
mod stream;
mod timing;
mod transaction;
mod violation;

pub use cache::SchemaCache;
pub use error::ErrorResponse;
pub use explain::{Explained, Sample, explain};
pub use limit::LimitSources;
pub use module::RestModule;
pub use routes::{Rest, router};
pub use settings::{AppSettings, ErrorVerbosity, OpenapiMode, RestSettings, TxEnd};
