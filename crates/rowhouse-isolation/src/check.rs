//! The catalogue of checks. Leaves running them to `audit`.

mod bypass;
mod coverage;
mod hygiene;
mod oracle;
mod performance;
mod predicate;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A tenant can reach rows of another, or callers get rights that nobody meant to give.
    Error,
    /// One change away from that, or slow.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// `error`, `warning` or `info`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One defect that can be looked for.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// `family.name`.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, in a line.
    pub title: &'static str,
    /// What can happen.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The statement that finds it, behind `sql/prelude.sql`.
    pub(crate) sql: &'static str,
}

/// A family: `"name", severity, title, why, remedy;` for each statement in `sql/FAMILY/`.
macro_rules! checks {
    ($family:literal: $($name:literal, $severity:expr, $title:literal, $why:literal, $remedy:literal;)*) => {
        &[$(Check {
            id: concat!($family, ".", $name),
            severity: $severity,
            title: $title,
            why: $why,
            remedy: $remedy,
            sql: include_str!(concat!("../../sql/", $family, "/", $name, ".sql")),
        }),*]
    };
}
use checks;

/// All checks, by family.
pub const CHECKS: &[&[Check]] = &[
    coverage::CHECKS,
    predicate::CHECKS,
    bypass::CHECKS,
    oracle::CHECKS,
    performance::CHECKS,
    hygiene::CHECKS,
];

/// All checks.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().copied().flatten()
}

/// The check of that id.
pub(crate) fn find(id: &str) -> Option<&'static Check> {
    all().find(|check| check.id == id)
}

#[cfg(test)]
mod tests;
