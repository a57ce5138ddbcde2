//! How the total number of rows is found.
//!
//! The planner's estimate comes from statistics of all rows of a table. To callers under row-level security it would
//! reveal how many rows of other tenants match a filter, so for them an estimate is a count with a bound.

use super::Plan;
use crate::request::Count;

/// The most rows that are counted in place of an estimate.
pub(crate) const MAX_COUNTED_ESTIMATE: i64 = 10_000;

/// How the total number of rows is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// Not asked for.
    Unknown,
    /// The page has all rows.
    Page,
    /// Counted, up to a cap.
    Counted { cap: Option<i64> },
    /// Counted as far as [`MAX_COUNTED_ESTIMATE`]: with more rows it is only known that there are more.
    CountedEstimate,
    /// The planner's estimate.
    Planned { is_whole: bool },
    /// Counted; where more than `max_rows` are found, the planner's estimate if it is higher.
    Estimated { is_whole: bool, max_rows: Option<i64> },
}

impl Total {
    /// The total that the client asks for. `is_whole`: the page has all rows.
    pub(super) fn of(count: Option<Count>, is_whole: bool, max_rows: Option<i64>) -> Self {
        match count {
            None => Self::Unknown,
            Some(Count::Planned) => Self::Planned { is_whole },
            Some(Count::Estimated) => Self::Estimated { is_whole, max_rows },
            Some(Count::Exact) if is_whole => Self::Page,
            Some(Count::Exact) => Self::Counted { cap: None },
        }
    }

    /// The same, without the planner's estimate.
    pub(crate) fn without_statistics(self) -> Self {
        match self {
            Self::Planned { is_whole: true } | Self::Estimated { is_whole: true, .. } => Self::Page,
            Self::Planned { .. } | Self::Estimated { .. } => Self::CountedEstimate,
            other => other,
        }
    }

    /// The same for a streamed page, which cannot be counted.
    pub(crate) fn counted(self) -> Self {
        match self {
            Self::Page => Self::Counted { cap: None },
            Self::Estimated { max_rows, .. } => Self::Estimated { is_whole: false, max_rows },
            other => other,
        }
    }

    /// The total that `counted` rows and the planner's `estimate` give.
    pub(crate) fn resolve(self, counted: Option<i64>, estimate: Option<i64>) -> Option<i64> {
        match self {
            Self::Planned { .. } => estimate,
            Self::Estimated { max_rows, .. } if counted > max_rows => counted.max(estimate),
            Self::CountedEstimate => counted.map(|rows| rows.min(MAX_COUNTED_ESTIMATE)),
            _ => counted,
        }
    }

    /// The total is at least what it says, and may be more or less.
    pub(crate) fn is_estimate(self) -> bool {
        matches!(self, Self::Planned { .. } | Self::Estimated { .. } | Self::CountedEstimate)
    }
}

impl Plan<'_> {
    /// How the total of a read is found.
    pub(crate) fn total(&self) -> Total {
        match self {
            Self::Read(plan) => plan.total,
            Self::Call(plan) => plan.total,
            Self::Write(_) | Self::Describe(_) | Self::Root { .. } => Total::Unknown,
        }
    }

    pub(crate) fn total_mut(&mut self) -> Option<&mut Total> {
        match self {
            Self::Read(plan) => Some(&mut plan.total),
            Self::Call(plan) => Some(&mut plan.total),
            Self::Write(_) | Self::Describe(_) | Self::Root { .. } => None,
        }
    }
}
