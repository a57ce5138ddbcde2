#![doc = include_str!("../README.md")]

mod csv;
mod detail;
mod entry;
mod expectation;
mod export;
mod filter;
mod finding;
mod link;
mod list;
mod record;
mod retention;
mod seal;
mod setting;
mod verification;

pub use csv::append_field as csv_field;
pub use entry::{Entry, write, write_about};
pub use expectation::Expectation;
pub use export::{Format, Piece, piece};
pub use filter::{Filter, parse_time};
pub use finding::{Finding, MOST_FINDINGS, Problem, Report};
pub use link::{Link, WITHOUT_ORGANIZATION, newest_links};
pub use list::list;
pub use record::{Position, Record};
pub use retention::{find_retention, set_retention};
pub use seal::{BATCH, Step, seal};
pub use setting::{AuditSettings, SHORTEST_RETENTION};
pub use verification::Verification;

/// Platform migrations of this crate: schema `audit`.
pub const MIGRATIONS: &[rowhouse_db::migrate::Statement] = &[
    ("20261127110100_audit_core.sql", include_str!("../migrations/20261127110100_audit_core.sql")),
    ("20261127110110_audit_chain.sql", include_str!("../migrations/20261127110110_audit_chain.sql")),
    ("20261127110120_audit_retention.sql", include_str!("../migrations/20261127110120_audit_retention.sql")),
];
