#![doc = include_str!("../README.md")]

mod error;
mod hook;
mod mistake;
mod module;
mod route;
mod run;
mod settings;
mod step;
mod store;
mod undo;
mod welcome;
mod work;

use rowhouse_db::migrate::Statement;

pub use hook::Hook;
pub use mistake::mistakes;
pub use module::ProvisionModule;
pub use run::{Provisioner, RUN, UNDO};
pub use settings::ProvisionSettings;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate: schema `provisioning`.
pub const MIGRATIONS: &[Statement] =
    migrations!["20261128113030_provisioning_core.sql", "20261128113040_provisioning_run.sql"];
