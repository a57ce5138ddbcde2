//! What a verification finds.

use std::fmt;

use rowhouse_kernel::OrganizationId;
use serde::Serialize;
use uuid::Uuid;

/// Findings that are told; of more there is only the number.
pub const MOST_FINDINGS: usize = 1_000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The entry, its place or the hash is not what was sealed.
    EntryChanged,
    /// The entry is gone; its link is there.
    EntryMissing,
    /// Links are gone, from this one on.
    LinksMissing,
    /// The entry is in no chain, and does not wait to be sealed: it was written past the triggers, or its link is gone.
    EntryNotLinked,
    /// An entry that waits to be sealed is gone.
    UnsealedEntryMissing,
    /// The link that was expected has another hash.
    ExpectedHashDiffers,
    /// The link that was expected is not there.
    ExpectedLinkMissing,
    /// The link that was expected has been removed after its retention.
    ExpectedLinkPruned,
}

/// A place where the log is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// The chain; the nil UUID is that of entries without an organization.
    pub organization_id: Option<OrganizationId>,
    /// The link's place.
    pub sequence: Option<i64>,
    /// How many links are missing from there on.
    pub missing: Option<i64>,
    /// The entry.
    pub entry_id: Option<Uuid>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.problem {
            Problem::EntryChanged => "changed: entry",
            Problem::EntryMissing => "missing: entry",
            Problem::LinksMissing => "missing: links",
            Problem::EntryNotLinked => "in no chain: entry",
            Problem::UnsealedEntryMissing => "missing, and not yet sealed: entry",
            Problem::ExpectedHashDiffers => "not the expected hash: link",
            Problem::ExpectedLinkMissing => "expected and missing: link",
            Problem::ExpectedLinkPruned => "expected, and removed after its retention: link",
        })?;
        if let Some(entry) = self.entry_id {
            write!(f, " {entry}")?;
        }
        match (self.sequence, self.missing) {
            (Some(first), Some(missing)) => write!(f, " {first} to {}", first + missing - 1)?,
            (Some(sequence), None) => write!(f, " at {sequence}")?,
            _ => {}
        }
        self.organization_id.map_or(Ok(()), |organization| write!(f, " of organization {organization}"))
    }
}

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Chains that were checked.
    pub chains: i64,
    /// Links that were checked.
    pub links: i64,
    /// Entries that wait to be sealed.
    pub unsealed: i64,
    /// What is wrong, at most [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub found: u64,
}

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.found == 0
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        }
    }
}
