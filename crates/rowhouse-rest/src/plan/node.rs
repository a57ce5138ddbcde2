//! One level of a read: source, columns, conditions, order, range and embeds.

use rowhouse_db::catalog::{QualifiedName, Relation, Table};

use super::{Condition, Measure, ResolvedField};
use crate::request::{Aggregate, Direction, JoinType, Nulls, RowRange};

/// A level of a read. The root has no relation; an embed is joined to its parent.
#[derive(Debug)]
pub(crate) struct ReadNode<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) qualifier: Qualifier<'a>,
    /// Empty: every column.
    pub(crate) select: Vec<Selected<'a>>,
    pub(crate) conditions: Vec<Condition<'a>>,
    pub(crate) having: Vec<Condition<'a>>,
    pub(crate) distinct: Option<Distinct<'a>>,
    pub(crate) order: Vec<OrderBy<'a>>,
    pub(crate) range: RowRange,
    pub(crate) embeds: Vec<EmbedNode<'a>>,
    /// Embedded JSON may be grouped by, so it must be of a type that can be compared.
    pub(crate) comparable: bool,
}

impl ReadNode<'_> {
    /// Whether a clause other than the select list requires groups.
    pub(crate) fn is_grouped(&self) -> bool {
        let by_aggregate = |order: &OrderBy<'_>| matches!(order.by, Ordering::Aggregate(_));
        !self.having.is_empty() || self.order.iter().any(by_aggregate)
    }

    /// Whether the select list has an aggregate.
    pub(crate) fn shows_aggregate(&self) -> bool {
        self.select.iter().any(|selected| selected.aggregate.is_some())
            || self.lifted().any(|lifted| lifted.aggregate.is_some())
    }

    /// Whether all rows are one group, which exists even without rows.
    pub(crate) fn is_one_group(&self) -> bool {
        let shows_embed = self.embeds.iter().any(|embed| embed.spread.is_none() && !embed.is_hidden);
        let plain = self.select.iter().any(|selected| selected.aggregate.is_none())
            || self.lifted().any(|lifted| lifted.aggregate.is_none());
        (self.shows_aggregate() || self.is_grouped()) && !plain && !shows_embed
    }

    fn lifted(&self) -> impl Iterator<Item = &Lifted<'_>> {
        self.embeds.iter().filter_map(|embed| embed.spread.as_ref()).flatten()
    }
}

/// Which rows count as equal.
#[derive(Debug)]
pub(crate) enum Distinct<'a> {
    /// Rows with the same selected values.
    Rows,
    /// Rows with the same values of these; the order begins with them.
    On(Vec<Ordering<'a>>),
}

/// The source of rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Table(&'a Table),
    /// The rows written or returned by the statement's first part.
    Cte,
}

/// Prefix of generated aliases.
const OURS: &str = "rowhouse_";

/// The qualifier of columns. It appears in PostgreSQL's errors, so the root keeps its own name.
#[derive(Debug, Clone)]
pub(crate) enum Qualifier<'a> {
    Table {
        schema: &'a str,
        name: &'a str,
    },
    /// The rows of the statement's first part, under their table's name.
    Alias(&'a str),
    /// An embedded table, by its number within the request, or the root as number 0; cannot collide with names of the
    /// schema.
    Embedded(usize),
    /// The rows of the request's body.
    Body,
}

impl<'a> Qualifier<'a> {
    /// A table under its own name, unless that could collide with a generated alias.
    pub(crate) fn of(name: &'a QualifiedName) -> Self {
        if name.name.starts_with(OURS) {
            return Self::Embedded(0);
        }
        Self::Table { schema: &name.schema, name: &name.name }
    }

    /// The same for the rows of the statement's first part.
    pub(super) fn alias(name: &'a str) -> Self {
        if name.starts_with(OURS) { Self::Embedded(0) } else { Self::Alias(name) }
    }
}

#[derive(Debug)]
pub(crate) struct Selected<'a> {
    pub(crate) field: ResolvedField<'a>,
    pub(crate) cast: Option<&'a str>,
    pub(crate) aggregate: Option<Aggregated<'a>>,
    pub(crate) alias: Option<&'a str>,
    /// The row as one value, to be counted by a parent level.
    pub(crate) whole_row: bool,
    /// A represented domain's JSON is shown as a plain string.
    pub(crate) as_text: bool,
}

impl<'a> Selected<'a> {
    /// The name that it has in the answer.
    pub(crate) fn output(&self) -> &'a str {
        match (self.alias, self.aggregate) {
            (Some(alias), _) => alias,
            (None, Some(aggregate)) => aggregate.function.name(),
            (None, None) => self.field.name,
        }
    }
}

/// A column of a spread embed as its parent shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifted<'a> {
    pub(crate) name: &'a str,
    pub(crate) aggregate: Option<Aggregated<'a>>,
}

/// An aggregate, and the type that its result is cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aggregated<'a> {
    pub(crate) function: Aggregate,
    pub(crate) cast: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct OrderBy<'a> {
    pub(crate) by: Ordering<'a>,
    pub(crate) direction: Option<Direction>,
    pub(crate) nulls: Option<Nulls>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ordering<'a> {
    Column(ResolvedField<'a>),
    /// The shown column with this place, counted from one.
    Shown(usize),
    Aggregate(Measure<'a>),
    /// A column of the embed with this place.
    Embed {
        place: usize,
        field: ResolvedField<'a>,
        /// Its name in the embed's rows; `None` if it has to be joined separately.
        output: Option<&'a str>,
    },
}

/// An embedded read.
#[derive(Debug)]
pub(crate) struct EmbedNode<'a> {
    pub(crate) name: &'a str,
    pub(crate) depth: usize,
    pub(crate) relation: &'a Relation,
    pub(crate) joined: Joined,
    /// No columns were selected: it only joins and filters.
    pub(crate) is_hidden: bool,
    /// Its columns are shown as the parent's.
    pub(crate) spread: Option<Vec<Lifted<'a>>>,
    pub(crate) node: ReadNode<'a>,
}

pub(crate) type Joined = JoinType;
