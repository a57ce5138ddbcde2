#![doc = include_str!("../README.md")]

mod bootstrap;
mod bulk;
mod command;
mod flow;
mod grant;
mod module;
mod person;
mod power;
mod privacy;
mod probe;
mod progress;
mod report;
mod result_file;
mod route;
mod settings;
mod store;
mod sync;

use rowhouse_db::migrate::Statement;

pub use module::OperatorModule;
pub use settings::{Assurance, OperatorSettings};

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate: schema `operators`.
pub const MIGRATIONS: &[Statement] = migrations![
    "20261128101500_operators_bootstrap.sql",
    "20261128111400_operators_privacy.sql",
    "20261128111410_operators_erasure.sql",
    "20261128112000_operators_suspensions.sql",
    "20261128112010_operators_impersonations.sql",
    "20261128112020_operators_bulk.sql",
];
