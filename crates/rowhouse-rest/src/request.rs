//! The types of a parsed request, before it is resolved against the schema.
//!
//! Plain values without behaviour; their syntax is in [`crate::parse`].

mod query;

use std::borrow::Cow;

use bytes::Bytes;

pub(crate) use query::{
    Aggregate, Applied, Compare, Connective, Direction, Embed, Field, Filter, GroupFilter, IsValue, JoinType,
    JsonKey, JsonStep, Logic, Nulls, Operation, OrderTerm, Quantifier, Search, SelectColumn, SelectItem,
};

/// Names of embedded resources from the root down; empty for the root itself.
pub(crate) type EmbedPath = Vec<String>;

/// A parsed request, not yet resolved against the schema.
#[derive(Debug, Clone)]
pub(crate) struct ApiRequest {
    pub(crate) action: Action,
    pub(crate) schema: String,
    /// More than one schema is served, so the answer names the one used.
    pub(crate) names_schema: bool,
    pub(crate) select: Vec<SelectItem>,
    pub(crate) filters: Vec<(EmbedPath, Filter)>,
    pub(crate) logic: Vec<(EmbedPath, Logic)>,
    pub(crate) order: Vec<(EmbedPath, Vec<OrderTerm>)>,
    /// `distinct`: one row per value of these columns; without columns, per selected values.
    pub(crate) distinct: Vec<(EmbedPath, Vec<Field>)>,
    /// Conditions on groups.
    pub(crate) having: Vec<(EmbedPath, Logic<GroupFilter>)>,
    /// Ranges of embedded resources.
    pub(crate) embed_ranges: Vec<(EmbedPath, RowRange)>,
    /// Range of the root: `Range` header and `limit`/`offset` together.
    pub(crate) range: RowRange,
    /// The client names the body's columns, so its objects may have any keys.
    pub(crate) names_columns: bool,
    pub(crate) on_conflict: Option<Vec<String>>,
    /// Function arguments from the query string.
    pub(crate) arguments: Vec<(String, String)>,
    pub(crate) prefer: Prefer,
    /// Best first.
    pub(crate) accept: Vec<Media>,
    pub(crate) content_type: Media,
    pub(crate) payload: Option<Payload>,
    /// Query parameters sorted and encoded again, for `Content-Location`; nothing where it is left out.
    pub(crate) canonical: Option<String>,
    /// Embeds that were addressed by their table although they have an alias: (table, alias), each once.
    pub(crate) legacy_targets: Vec<(String, String)>,
}

/// The resource and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Read {
        table: String,
        headers_only: bool,
    },
    Write {
        table: String,
        mutation: Mutation,
    },
    Call {
        function: String,
        method: CallMethod,
    },
    /// `OPTIONS` on a table.
    DescribeTable(String),
    /// `OPTIONS` on a function.
    DescribeFunction(String),
    /// `OPTIONS` on the root.
    DescribeRoot,
    /// `GET` or `HEAD` on the root.
    ReadRoot {
        headers_only: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// POST
    Insert,
    /// PATCH
    Update,
    /// PUT
    Replace,
    /// DELETE
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallMethod {
    Post,
    Get,
    Head,
}

/// Rows `lower..=upper`; `upper` below `lower` is empty. `upper` -1 is the one empty range that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowRange {
    pub(crate) lower: i64,
    pub(crate) upper: Option<i64>,
}

impl RowRange {
    pub(crate) const ALL: Self = Self { lower: 0, upper: None };
    pub(crate) const NONE: Self = Self { lower: 0, upper: Some(-1) };

    pub(crate) fn is_empty(self) -> bool {
        self.upper.is_some_and(|upper| upper < self.lower)
    }

    pub(crate) fn limit(self) -> Option<i64> {
        self.upper.map(|upper| upper.saturating_sub(self.lower).saturating_add(1).max(0))
    }

    /// The part of the range within its first `rows` rows.
    pub(crate) fn first(self, rows: Option<i64>) -> Self {
        let Some(rows) = rows else { return self };
        let cap = self.lower.saturating_add(rows).saturating_sub(1);
        Self { lower: self.lower, upper: Some(self.upper.map_or(cap, |upper| upper.min(cap))) }
    }
}

/// What the client prefers (RFC 7240), first mention of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    pub(crate) resolution: Option<Resolution>,
    pub(crate) representation: Option<Representation>,
    pub(crate) count: Option<Count>,
    pub(crate) missing: Option<Missing>,
    pub(crate) handling: Option<Handling>,
    pub(crate) tx: Option<Tx>,
    pub(crate) time_zone: Option<String>,
    pub(crate) max_affected: Option<i64>,
    /// Unknown preferences; an error under `handling=strict`.
    pub(crate) unknown: Vec<String>,
}

impl Prefer {
    /// `max-affected`, which only binds under `handling=strict`.
    pub(crate) fn strict_max_affected(&self) -> Option<i64> {
        self.max_affected.filter(|_| self.handling == Some(Handling::Strict))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    Merge,
    Ignore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    Full,
    HeadersOnly,
    Minimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    Exact,
    Planned,
    Estimated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Default,
    Null,
}

/// How the transaction should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tx {
    Commit,
    Rollback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handling {
    Strict,
    Lenient,
}

/// A media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    /// One object rather than an array; `strip` leaves out nulls.
    Object {
        strip: bool,
    },
    /// An array of objects without nulls.
    StrippedArray,
    Csv,
    /// A description of the schema.
    Openapi,
    GeoJson,
    /// JSON lines: one object a line.
    Ndjson,
    Text,
    Xml,
    Form,
    Binary,
    Any,
    /// The plan of the query that would make another media type.
    Plan(Box<ExplainMedia>),
    Other(String),
}

/// `application/vnd.pgrst.plan` with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExplainMedia {
    pub(crate) json: bool,
    pub(crate) target: Media,
    /// Options of `explain`.
    pub(crate) options: Vec<&'static str>,
}

impl Media {
    /// The name without transport parameters.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::Json => "application/json",
            Self::Object { strip: false } => "application/vnd.pgrst.object+json",
            Self::Object { strip: true } => "application/vnd.pgrst.object+json;nulls=stripped",
            Self::StrippedArray => "application/vnd.pgrst.array+json;nulls=stripped",
            Self::Csv => "text/csv",
            Self::GeoJson => "application/geo+json",
            Self::Openapi => "application/openapi+json",
            Self::Ndjson => "application/x-ndjson",
            Self::Text => "text/plain",
            Self::Xml => "text/xml",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Binary => "application/octet-stream",
            Self::Any => "*/*",
            Self::Plan(plan) => {
                let format = if plan.json { "json" } else { "text" };
                let mut text = format!("application/vnd.pgrst.plan+{format}; for=\"{}\"", plan.target.name());
                if !plan.options.is_empty() {
                    text.push_str("; options=");
                    text.push_str(&plan.options.join("|"));
                }
                return Cow::Owned(text);
            }
            Self::Other(name) => name,
        })
    }
}

/// The request body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    /// JSON text, passed to PostgreSQL unchanged.
    Json {
        text: Bytes,
        shape: Shape,
        /// Keys of every object, or the `columns` parameter; sorted, each once.
        keys: Vec<String>,
        /// All values are strings, as in CSV and forms.
        is_text: bool,
    },
    /// A form: function arguments.
    Form(Vec<(String, String)>),
    /// One value for a function with a single unnamed argument.
    Raw(Bytes),
}

/// The kind of the outermost JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Array,
}
