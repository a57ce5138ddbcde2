//! Why a well-formed request cannot be planned.

/// Errors of planning. Leaves codes and messages to [`crate::error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanError {
    /// None of these media types is available.
    Media(Vec<String>),
    /// No such table; `like` is one with a similar name.
    UnknownTable { schema: String, table: String, like: Option<String> },
    /// No such column in a body or in `columns`.
    UnknownColumn { table: String, column: String },
    /// A name in `select`, a filter or an order that is not a column; `like` are one or two similar ones.
    UndefinedColumn { column: String, like: Vec<String> },
    /// No function of that name with those arguments.
    UnknownFunction(Box<UnknownFunction>),
    /// More than one function fits; each written out.
    AmbiguousFunction(Vec<String>),
    /// PUT whose filters are not exactly the primary key.
    PutFilters,
    /// Unknown preferences under `handling=strict`.
    Preferences(Vec<String>),
    /// Aggregates are switched off.
    Aggregates,
    /// An invalid `distinct`, `having` or order by aggregate.
    Clause(String),
    /// `max-affected` on a function that returns one result.
    MaxAffectedCall,
    /// A filter, order or limit on something that is not embedded.
    NotEmbedded { target: String, alias: Option<String> },
    /// Order by a relation with many rows.
    RelatedOrder { origin: String, target: String },
    /// No relation from one table to another.
    NoRelation(Box<NoRelation>),
    /// Several relations; each described.
    AmbiguousRelation { parent: String, child: String, candidates: Vec<Candidate> },
    /// Two embeds of one name in one place; the name that PostgREST would give both in SQL.
    RepeatedEmbed(String),
    /// Supported by PostgREST and not by this version.
    NotImplemented(&'static str),
    /// The description at the root is disabled.
    RootDisabled,
}

/// A call that no function matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownFunction {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// Names of the arguments given, sorted.
    pub(crate) arguments: Vec<String>,
    /// The type of a single unnamed parameter that the body could have been for.
    pub(crate) single: Option<&'static str>,
    /// Only a single unnamed parameter was looked for.
    pub(crate) only_single: bool,
    /// A similar function, with its arguments if the name itself exists.
    pub(crate) like: Option<String>,
}

/// An embed that no relation matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoRelation {
    pub(crate) parent: String,
    pub(crate) child: String,
    pub(crate) hint: Option<String>,
    pub(crate) schema: String,
    /// A similar name, and the one that it could replace.
    pub(crate) like: Option<(String, String)>,
}

/// One of several relations between two tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) cardinality: &'static str,
    pub(crate) relationship: String,
    /// What to write after `!`.
    pub(crate) hint: String,
    pub(crate) target: String,
}
