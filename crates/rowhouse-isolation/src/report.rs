//! What an audit has found, and the verdict. Leaves how it looks on a terminal to `command`.

use serde::Serialize;

use crate::check::Severity;

/// One defect in one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The check's id: `coverage.rls_disabled`.
    pub id: &'static str,
    /// What the check is about, in a line.
    pub title: &'static str,
    /// The relation as SQL writes it: `public.todos`; otherwise the function, or `role NAME`.
    pub relation: String,
    /// The policy, index or constraint in it.
    pub object: Option<String>,
    /// What is wrong here.
    pub detail: String,
    /// SQL that corrects it; none where somebody has to decide.
    pub fix: Option<String>,
}

/// A finding that somebody has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waived {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// The waiver's name.
    pub waiver: String,
    /// Its reason.
    pub reason: String,
}

/// The result of an audit.
#[derive(Debug, Clone)]
pub struct Report {
    /// Schemas that were read, by name.
    pub schemas: Vec<String>,
    /// Tables, views and foreign tables in them.
    pub relations: u64,
    /// Policies on these.
    pub policies: u64,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What somebody has accepted.
    pub waived: Vec<Waived>,
    /// Waivers of the project that cover nothing.
    pub unused_waivers: Vec<String>,
    /// What the platform has on purpose: no business of a project's.
    pub of_platform: Vec<Waived>,
}

impl Report {
    /// Findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        self.findings.iter().filter(|finding| finding.severity == severity).map(|_| 1).sum()
    }

    /// Whether nothing was found that lets tenants reach each other's rows.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.count(Severity::Error) == 0
    }
}
