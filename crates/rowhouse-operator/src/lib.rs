#![doc = include_str!("../README.md")]

mod bootstrap;
mod command;
mod grant;
mod module;
mod person;
mod probe;
mod progress;
mod report;
mod route;
mod sync;

use rowhouse_db::migrate::Statement;

pub use module::OperatorModule;

/// Platform migrations of this crate: schema `operators`.
pub const MIGRATIONS: &[Statement] = &[(
    "20261128101500_operators_bootstrap.sql",
    include_str!("../migrations/20261128101500_operators_bootstrap.sql"),
)];
