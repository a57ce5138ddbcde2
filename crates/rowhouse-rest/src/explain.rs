//! The query of a request without running it, and a report on its plan.

mod clause;
mod fact;
mod governed;
mod hint;
mod policy;
mod prepare;
mod report;
mod show;
mod statement;
mod tree;

pub use fact::{FACTS, Facts, Index, Policy, RelationFacts};
pub use governed::Governed;
pub use hint::Hint;
pub use prepare::{Prepared, prepare};
pub use report::{ExplainReport, Scan, analyse};
pub use statement::{Explained, Sample, explain};
pub use tree::{Actual, Condition, Node, Tree};
