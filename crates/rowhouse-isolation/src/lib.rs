#![doc = include_str!("../README.md")]

mod audit;
mod check;
mod command;
mod expression;
mod module;
pub mod mutate;
mod policy;
pub mod prove;
mod report;
mod settings;
mod tree;
mod tripwire;
mod waiver;

pub use audit::{Scope, audit, audit_read_only};
pub use check::{CHECKS, Check, Severity};
pub use module::IsolationModule;
pub use report::{Finding, Report, Waived};
pub use settings::{RlsSettings, WaiverSettings};
pub use tripwire::{Round, Tripwires};
pub use waiver::{PLATFORM, Waiver};
