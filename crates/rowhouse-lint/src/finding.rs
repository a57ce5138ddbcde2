//! What was found in migrations, and the verdict. Leaves how it looks on a terminal to the command.

use serde::Serialize;

/// The page that explains the rules.
pub const PAGE: &str = "docs/migrations/lint.md";

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It loses data or isolation, stops requests, or breaks the release that runs.
    Error,
    /// It can be better.
    Warning,
}

impl Severity {
    /// The word for people and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One defect in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The rule's name, as a waiver writes it.
    pub rule: String,
    /// File name without folder.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong here.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
    /// Page and heading that explain the rule.
    pub page: String,
}

/// A finding that somebody has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waived {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it is accepted.
    pub reason: String,
}

/// What was found in all files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many files were judged.
    pub files: usize,
    /// What was found, in the order of files and lines.
    pub findings: Vec<Finding>,
    /// What somebody has accepted.
    pub waived: Vec<Waived>,
}

impl Report {
    /// Findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether no error was found.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.count(Severity::Error) == 0
    }
}

/// A finding with the place of its cause.
pub(crate) struct Found {
    pub(crate) rule: String,
    pub(crate) severity: Severity,
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) remedy: String,
}
