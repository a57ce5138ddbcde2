#![doc = include_str!("../README.md")]

mod catalog;
mod constraint;
mod expect;
mod file;
mod finding;
mod known;
mod library;
mod lint;
mod name;
mod rule;
mod statement;
mod waiver;
mod word;

pub use catalog::readers;
pub use expect::{Expected, expected_locks};
pub use finding::{Finding, PAGE, Report, Severity, Waived};
pub use known::Reader;
pub use library::{LibraryRule, Use, library_rules};
pub use lint::{Context, Judged, lint};
pub use rule::{RULES, Rule};
