//! The parts of a query string: columns, filters, logic, order, embeds.

/// A column, or a place inside a JSON, composite or array column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) path: Vec<JsonStep>,
}

/// `->key` or `->>key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonStep {
    /// `->>`: the result is text.
    pub(crate) as_text: bool,
    pub(crate) key: JsonKey,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonKey {
    Name(String),
    /// A number with an optional sign, still as text: PostgreSQL judges its size.
    Index(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SelectItem {
    Column(SelectColumn),
    Embed(Embed),
}

/// `alias:column->path::cast.aggregate()::cast`; the name `*` without a path is every column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectColumn {
    pub(crate) field: Field,
    pub(crate) cast: Option<String>,
    pub(crate) aggregate: Option<Aggregate>,
    pub(crate) aggregate_cast: Option<String>,
    pub(crate) alias: Option<String>,
}

/// An aggregate over a column, or over what the column is cast to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) function: Aggregate,
    pub(crate) cast: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Sum,
    Avg,
    Count,
    Max,
    Min,
}

impl Aggregate {
    /// Its name, which is also that of its result.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

/// `alias:relation!hint!inner(…)` or `...relation(…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Embed {
    pub(crate) relation: String,
    pub(crate) alias: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) join: JoinType,
    pub(crate) spread: bool,
    pub(crate) items: Vec<SelectItem>,
}

impl Embed {
    /// The name under which it appears in the answer and is addressed by filters.
    pub(crate) fn output_name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.relation)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinType {
    Left,
    Inner,
}

/// `column=not.eq.value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) field: Field,
    pub(crate) negated: bool,
    pub(crate) operation: Operation,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Compare { operator: Compare, quantifier: Option<Quantifier>, value: String },
    In(Vec<String>),
    Is(IsValue),
    IsDistinct(String),
    Search { kind: Search, config: Option<String>, value: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    Eq,
    Gte,
    Gt,
    Lte,
    Lt,
    Like,
    Ilike,
    Match,
    Imatch,
    Neq,
    Contains,
    Contained,
    Overlaps,
    StrictlyLeft,
    StrictlyRight,
    NotExtendsRight,
    NotExtendsLeft,
    Adjacent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IsValue {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

/// Which function makes a text search query of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    Plain,
    Phrase,
    Web,
    Raw,
}

/// `column.sum().gt.100`: a condition on groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupFilter {
    pub(crate) field: Field,
    pub(crate) applied: Applied,
    pub(crate) negated: bool,
    pub(crate) operation: Operation,
}

/// `and(…)`, `or(…)` and filters inside them. Depth is bounded by the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Logic<F = Filter> {
    Filter(F),
    Group { negated: bool, connective: Connective, items: Vec<Logic<F>> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connective {
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderTerm {
    /// Order by a column of this to-one embed.
    pub(crate) relation: Option<String>,
    pub(crate) field: Field,
    /// Order groups by this aggregate of the column.
    pub(crate) applied: Option<Applied>,
    pub(crate) direction: Option<Direction>,
    pub(crate) nulls: Option<Nulls>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Asc,
    Desc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    First,
    Last,
}
