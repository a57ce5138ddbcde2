#![doc = include_str!("../README.md")]

mod address;
mod key;
mod link;
mod module;
mod probe;
mod rates;
mod script;
mod settings;

pub use module::RedisModule;
pub use probe::{Found, probe};
pub use rates::RedisRates;
pub use settings::RedisSettings;
