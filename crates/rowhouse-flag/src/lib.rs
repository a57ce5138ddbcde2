#![doc = include_str!("../README.md")]

mod command;
mod definition;
mod evaluate;
mod flow;
mod memory;
mod module;
mod overriding;
mod route;
mod store;
mod value;

use rowhouse_db::migrate::Statement;

pub use evaluate::{Evaluation, Reason, Subject};
pub use memory::{CHANNEL, Flags};
pub use module::FlagModule;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate: schema `flags`.
pub const MIGRATIONS: &[Statement] =
    migrations!["20261128190000_flags_core.sql", "20261128190100_flags_evaluate.sql"];
