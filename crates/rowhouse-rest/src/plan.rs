//! From an [`ApiRequest`] and the schema [`Snapshot`] to a [`Plan`]: names resolved, rights of way checked, nothing
//! executed. A pure function; a plan borrows from both.

mod call;
mod clause;
mod condition;
mod embed;
mod error;
mod format;
mod function;
mod hint;
mod node;
mod spread;
mod write;

pub(crate) use call::{Arguments, CallPlan};
pub(crate) use condition::{Condition, Measure, ResolvedField};
pub(crate) use error::{Candidate, NoRelation, PlanError, UnknownFunction};
pub(crate) use format::{BodyHandler, Format};
pub(crate) use node::{
    Aggregated, Distinct, EmbedNode, Joined, OrderBy, Ordering, Qualifier, ReadNode, Selected, Source,
};
pub(crate) use spread::name_of;
pub(crate) use write::{Conflict, Effect, Returning, RowBounds, RowSource, WritePlan};

use rowhouse_db::catalog::{Returns, Snapshot, Table};
use rowhouse_db::flight::Access;
use rowhouse_kernel::settings::{OpenapiMode, RestSettings};

use crate::request::{Action, ApiRequest, Count, Handling, Media, RowRange};

/// What will be done about a request.
#[derive(Debug)]
pub(crate) enum Plan<'a> {
    Read(ReadPlan<'a>),
    Write(WritePlan<'a>),
    Call(CallPlan<'a>),
    /// `OPTIONS`: the methods allowed.
    Describe(String),
    /// A description of the schema.
    Root(OpenapiVersion),
}

/// Which description of the schema is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenapiVersion {
    /// OpenAPI 2.0, at the root.
    Two,
    /// OpenAPI 3.1, at [`DESCRIPTION`].
    ThreeOne,
}

/// Where the description in OpenAPI 3.1 stands, unless a table has that name.
pub(crate) const DESCRIPTION: &str = "openapi.json";

impl Plan<'_> {
    /// How the answer is made; nothing where the schema alone answers.
    pub(crate) fn format(&self) -> Option<&Format<'_>> {
        match self {
            Self::Read(read) => Some(&read.format),
            Self::Write(write) => Some(&write.format),
            Self::Call(call) => Some(&call.format),
            Self::Describe(_) | Self::Root(_) => None,
        }
    }

    /// The answer goes out in lines while the database still makes them. What writes must have been committed first.
    pub(crate) fn streams(&self) -> bool {
        let in_lines = self
            .format()
            .is_some_and(|format| format.handler == BodyHandler::Lines && format.explain.is_none());
        let shows = match self {
            Self::Read(plan) => !plan.headers_only,
            Self::Call(plan) => !plan.headers_only && plan.function.returns != Returns::Void,
            Self::Write(_) | Self::Describe(_) | Self::Root(_) => false,
        };
        in_lines && shows && self.access() == Access::ReadOnly
    }

    /// The body may go out while it arrives: nothing is written, and its bytes are PostgreSQL's own.
    pub(crate) fn may_be_long(&self) -> bool {
        let is_decoded = self
            .format()
            .is_some_and(|format| matches!(format.handler, BodyHandler::Custom(handler) if handler.is_bytes));
        self.access() == Access::ReadOnly && !is_decoded
    }

    /// Rows of the root that are asked for.
    pub(crate) fn range(&self) -> RowRange {
        match self {
            Self::Read(plan) => plan.node.range,
            Self::Call(plan) => plan.node.range,
            Self::Write(_) | Self::Describe(_) | Self::Root(_) => RowRange::ALL,
        }
    }

    /// The called function's own settings.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        if let Self::Call(call) = self { &call.function.settings } else { &[] }
    }

    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Read(_) | Self::Describe(_) | Self::Root(_) => Access::ReadOnly,
            Self::Write(_) => Access::ReadWrite,
            Self::Call(call) => call.access,
        }
    }
}

/// A read of a table or view.
#[derive(Debug)]
pub(crate) struct ReadPlan<'a> {
    pub(crate) node: ReadNode<'a>,
    pub(crate) format: Format<'a>,
    pub(crate) headers_only: bool,
    pub(crate) total: Total,
}

/// How the total number of rows is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// Not asked for, or left to the planner's estimate.
    Unknown,
    /// The page is everything there is.
    Page,
    /// Counted, up to a cap.
    Counted { cap: Option<i64> },
}

impl Total {
    /// The same, where the page is not at hand to be counted.
    pub(crate) fn counted(self) -> Self {
        if self == Self::Page { Self::Counted { cap: None } } else { self }
    }

    pub(crate) fn of(count: Option<Count>, is_whole: bool, max_rows: Option<i64>) -> Self {
        match count {
            None | Some(Count::Planned) => Self::Unknown,
            Some(_) if is_whole => Self::Page,
            Some(Count::Exact) => Self::Counted { cap: None },
            // One more than the cap shows that there is more than the cap.
            Some(Count::Estimated) => Self::Counted { cap: max_rows.map(|rows| rows.saturating_add(1)) },
        }
    }
}

/// Plans a request.
///
/// # Errors
/// What does not exist, is ambiguous, or cannot be done.
pub(crate) fn plan<'a>(
    request: &'a ApiRequest,
    snapshot: &'a Snapshot,
    settings: &RestSettings,
) -> Result<Plan<'a>, PlanError> {
    match &request.action {
        Action::Read { table, .. } if is_description(request, snapshot, table) => {
            root(request, settings, OpenapiVersion::ThreeOne)
        }
        Action::DescribeTable(table) if is_description(request, snapshot, table) => {
            Ok(Plan::Describe(READ_ONLY.to_owned()))
        }
        Action::Read { table, headers_only } => {
            read(request, snapshot, settings, table, *headers_only).map(Plan::Read)
        }
        Action::Write { table, mutation } => {
            write::plan(request, snapshot, settings, table, *mutation).map(Plan::Write)
        }
        Action::Call { function, method } => {
            call::plan(request, snapshot, settings, function, *method).map(Plan::Call)
        }
        Action::DescribeTable(name) => Ok(Plan::Describe(allowed_on(table(request, snapshot, name)?))),
        Action::DescribeFunction(name) => call::allowed_on(request, snapshot, name).map(Plan::Describe),
        Action::DescribeRoot => Ok(Plan::Describe(READ_ONLY.to_owned())),
        Action::ReadRoot => root(request, settings, OpenapiVersion::Two),
    }
}

/// Methods of what can only be read.
const READ_ONLY: &str = "OPTIONS,GET,HEAD";

/// A table that was there first is not taken away by the description.
fn is_description(request: &ApiRequest, snapshot: &Snapshot, table: &str) -> bool {
    table == DESCRIPTION && snapshot.table(&request.schema, table).is_none()
}

fn root<'a>(
    request: &ApiRequest,
    settings: &RestSettings,
    edition: OpenapiVersion,
) -> Result<Plan<'a>, PlanError> {
    if settings.openapi_mode == OpenapiMode::Disabled {
        return Err(PlanError::RootDisabled);
    }
    if request.accept.iter().any(|media| matches!(media, Media::Json | Media::Openapi | Media::Any)) {
        return Ok(Plan::Root(edition));
    }
    Err(PlanError::Media(request.accept.iter().map(|media| media.name().into_owned()).collect()))
}

fn read<'a>(
    request: &'a ApiRequest,
    snapshot: &'a Snapshot,
    settings: &RestSettings,
    name: &str,
    headers_only: bool,
) -> Result<ReadPlan<'a>, PlanError> {
    let table = table(request, snapshot, name)?;
    let max_rows = max_rows(settings);
    let node =
        node::Builder { request, snapshot, max_rows, allow_aggregates: settings.aggregates }.table(table)?;
    let format = format::negotiate(request, snapshot, settings, &table.name)?;
    known_preferences(request)?;
    let is_whole = request.range == crate::request::RowRange::ALL && max_rows.is_none();
    Ok(ReadPlan { total: Total::of(request.prefer.count, is_whole, max_rows), node, format, headers_only })
}

fn table<'a>(request: &ApiRequest, snapshot: &'a Snapshot, name: &str) -> Result<&'a Table, PlanError> {
    snapshot.table(&request.schema, name).ok_or_else(|| PlanError::UnknownTable {
        schema: request.schema.clone(),
        table: name.to_owned(),
        like: hint::similar(name, snapshot.table_names(&request.schema)),
    })
}

fn known_preferences(request: &ApiRequest) -> Result<(), PlanError> {
    if request.prefer.handling == Some(Handling::Strict) && !request.prefer.unknown.is_empty() {
        return Err(PlanError::Preferences(request.prefer.unknown.clone()));
    }
    Ok(())
}

pub(crate) fn max_rows(settings: &RestSettings) -> Option<i64> {
    settings.max_rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

fn allowed_on(table: &Table) -> String {
    let mut allowed = READ_ONLY.to_owned();
    let put = table.insertable && table.updatable && !table.primary_key.is_empty();
    let methods = [
        (table.insertable, ",POST"),
        (put, ",PUT"),
        (table.updatable, ",PATCH"),
        (table.deletable, ",DELETE"),
    ];
    for (_, method) in methods.into_iter().filter(|(can, _)| *can) {
        allowed.push_str(method);
    }
    allowed
}

#[cfg(test)]
pub(crate) mod tests;
