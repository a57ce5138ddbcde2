#![doc = include_str!("../README.md")]

mod challenge;
mod check;
mod claim;
mod error;
mod flow;
mod letter;
mod module;
mod name;
mod recheck;
mod route;
mod settings;
mod store;
mod suffix;

use rowhouse_db::migrate::Statement;

pub use check::Checker;
pub use module::DomainModule;
pub use name::{DomainName, NameError};
pub use recheck::{Rechecked, Rechecks};
pub use settings::DomainSettings;
pub use store::owner_of;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate: schema `domains`.
pub const MIGRATIONS: &[Statement] =
    migrations!["20261128113000_domains_claims.sql", "20261128113010_domains_change.sql"];
