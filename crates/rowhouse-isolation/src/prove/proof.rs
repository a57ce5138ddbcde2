//! What a proof has shown: matrix, leaks, and what is unproven. Leaves how it looks to `command`, `html` and `pgtap`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cell::Cell;
use super::scene::Actor;

/// What came of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// No grant or no policy for it, or no such statement can be written.
    Closed,
    /// The owner of the row succeeded.
    Control,
    /// Refused, while the owner of the row succeeded with the same statement.
    Held,
    /// Nothing is known.
    Unproven,
    /// It went through.
    Leak,
}

impl Mark {
    /// As in the document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Control => "control",
            Self::Held => "held",
            Self::Unproven => "unproven",
            Self::Leak => "leak",
        }
    }
}

/// A way to the rows of another tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leak {
    /// The relation or function.
    pub relation: String,
    /// Who got through.
    pub actor: String,
    /// What was tried.
    pub cell: Cell,
    /// What it does.
    pub detail: String,
    /// The statement.
    pub statement: String,
    /// What to do.
    pub remedy: String,
}

/// Something of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unproven {
    /// The relation or function.
    pub relation: String,
    /// What was tried; none for the relation as a whole.
    pub cell: Option<Cell>,
    /// Why nothing is known.
    pub reason: String,
    /// Why somebody has accepted that.
    pub declared: Option<String>,
}

/// What tells that a row exists, or is one grant away from a leak.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// The relation.
    pub relation: String,
    /// `unique_key` or `truncate`.
    pub kind: &'static str,
    /// What it tells.
    pub detail: String,
}

/// A relation's or function's row of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The relation or function.
    pub relation: String,
    /// Who.
    pub actor: String,
    /// What came of each cell.
    pub cells: BTreeMap<Cell, Mark>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Relations that some caller has a privilege on.
    pub relations: usize,
    /// Of these, those in which everything is held or closed.
    pub proven: usize,
    /// Functions that callers may call.
    pub functions: usize,
    /// Kinds of callers.
    pub actors: usize,
    /// Statements that were run.
    pub probes: usize,
    /// Requests that were sent to a data API; none without `--http`.
    pub requests: usize,
    /// Denials next to a success of the owner of the row.
    pub held: usize,
}

/// The result.
#[derive(Debug, Clone, Default)]
pub struct Proof {
    /// Ways to the rows of others.
    pub leaks: Vec<Leak>,
    /// What is not known.
    pub unproven: Vec<Unproven>,
    /// What tells of rows, without giving them away.
    pub notes: Vec<Note>,
    /// What came of each cell.
    pub matrix: Vec<Line>,
    /// What was looked at.
    pub coverage: Coverage,
    /// Digest of the schema that this was shown of.
    pub fingerprint: String,
    /// Sequences that are further now: a rollback does not take them back.
    pub sequences: Vec<String>,
    /// Settings that accept what is proven.
    pub unused: Vec<String>,
    /// Denials as statements, for other programs.
    pub(crate) denials: Vec<Denial>,
    /// The callers of these.
    pub(crate) callers: Vec<Actor>,
    /// Statements that make parties and rows as they were.
    pub(crate) setup: Vec<String>,
}

/// A denial that has been shown.
#[derive(Debug, Clone)]
pub(crate) struct Denial {
    pub(crate) relation: String,
    pub(crate) actor: usize,
    pub(crate) cell: Cell,
    pub(crate) sql: String,
    /// The SQLSTATE; none where it finds no row.
    pub(crate) state: Option<String>,
}

impl Proof {
    /// Takes in what another proof has shown by other means.
    pub(super) fn take(&mut self, other: Self) {
        for line in other.matrix {
            let same = |one: &&mut Line| one.relation == line.relation && one.actor == line.actor;
            match self.matrix.iter_mut().find(same) {
                Some(known) => known.cells.extend(line.cells),
                None => self.matrix.push(line),
            }
        }
        self.matrix.sort_by(|one, other| one.relation.cmp(&other.relation));
        self.leaks.extend(other.leaks);
        self.unproven.extend(other.unproven);
        self.coverage.requests += other.coverage.requests;
    }

    /// Whether everything is held, closed or declared.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.leaks.is_empty() && self.unproven.iter().all(|unproven| unproven.declared.is_some())
    }
}
