//! From an [`ApiRequest`] and the schema [`Snapshot`] to a [`Plan`]: names resolved and checked, nothing executed. A
//! pure function; a plan borrows from both.

mod alias;
mod build;
mod call;
mod clause;
mod column;
mod condition;
mod embed;
mod error;
mod format;
mod function;
mod hint;
mod node;
mod order;
mod place;
mod spread;
mod total;
mod write;

pub(crate) use call::{Arguments, CallPlan};
pub(crate) use condition::{Condition, Measure, ResolvedField};
pub(crate) use error::{Candidate, NoRelation, PlanError, UnknownFunction};
pub(crate) use format::{BodyHandler, Format};
pub(crate) use node::{
    Aggregated, Distinct, EmbedNode, Joined, OrderBy, Ordering, Qualifier, ReadNode, Selected, Source,
};
pub(crate) use total::{MAX_COUNTED_ESTIMATE, Total};
pub(crate) use write::{Conflict, Effect, Returning, RowBounds, RowSource, WritePlan};

use column::Columns;
use rowhouse_db::catalog::{Returns, Snapshot, Table};
use rowhouse_db::flight::Access;

use crate::request::{Action, ApiRequest, CallMethod, Handling, Media, RowRange};
use crate::settings::{OpenapiMode, RestSettings};

/// The plan of a request.
#[derive(Debug)]
pub(crate) enum Plan<'a> {
    Read(ReadPlan<'a>),
    Write(WritePlan<'a>),
    Call(CallPlan<'a>),
    /// `OPTIONS`: the methods allowed.
    Describe(String),
    /// A description of the schema.
    Root {
        version: OpenapiVersion,
        headers_only: bool,
    },
}

/// Which description of the schema is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenapiVersion {
    /// OpenAPI 2.0, at the root.
    Two,
    /// OpenAPI 3.1, at [`DESCRIPTION`].
    ThreeOne,
}

/// Path of the OpenAPI 3.1 description, unless a table has that name.
pub(crate) const DESCRIPTION: &str = "openapi.json";

impl<'a> Plan<'a> {
    /// The called function's own settings.
    pub(crate) fn settings(&self) -> &'a [(String, String)] {
        if let Self::Call(call) = self { &call.function.settings } else { &[] }
    }
}

impl Plan<'_> {
    /// The format of the answer; `None` if the snapshot alone answers.
    pub(crate) fn format(&self) -> Option<&Format<'_>> {
        match self {
            Self::Read(read) => Some(&read.format),
            Self::Write(write) => Some(&write.format),
            Self::Call(call) => Some(&call.format),
            Self::Describe(_) | Self::Root { .. } => None,
        }
    }

    /// Whether the answer is streamed in lines while the query runs. Not for writes, which have to be committed first.
    pub(crate) fn streams(&self) -> bool {
        let in_lines = self
            .format()
            .is_some_and(|format| format.handler == BodyHandler::Lines && format.explain.is_none());
        let shows = match self {
            Self::Read(plan) => !plan.headers_only,
            Self::Call(plan) => !plan.headers_only && plan.function.returns != Returns::Void,
            Self::Write(_) | Self::Describe(_) | Self::Root { .. } => false,
        };
        in_lines && shows && self.access() == Access::ReadOnly
    }

    /// Whether the body may be streamed: nothing is written, and the body consists of PostgreSQL's bytes.
    pub(crate) fn may_be_long(&self) -> bool {
        let is_decoded = self
            .format()
            .is_some_and(|format| matches!(format.handler, BodyHandler::Custom(handler) if handler.is_bytes));
        self.access() == Access::ReadOnly && !is_decoded
    }

    /// The range of rows of the root.
    pub(crate) fn range(&self) -> RowRange {
        match self {
            Self::Read(plan) => plan.node.range,
            Self::Call(plan) => plan.node.range,
            Self::Write(_) | Self::Describe(_) | Self::Root { .. } => RowRange::ALL,
        }
    }

    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Read(_) | Self::Describe(_) | Self::Root { .. } => Access::ReadOnly,
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
        Action::Read { table, headers_only } if is_description(request, snapshot, table) => {
            root(request, settings, OpenapiVersion::ThreeOne, *headers_only)
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
        Action::ReadRoot { headers_only } => root(request, settings, OpenapiVersion::Two, *headers_only),
    }
}

/// Methods of read-only resources.
const READ_ONLY: &str = "OPTIONS,GET,HEAD";

/// A table of that name takes precedence over the description.
fn is_description(request: &ApiRequest, snapshot: &Snapshot, table: &str) -> bool {
    table == DESCRIPTION && snapshot.table(&request.schema, table).is_none()
}

fn root<'a>(
    request: &ApiRequest,
    settings: &RestSettings,
    version: OpenapiVersion,
    headers_only: bool,
) -> Result<Plan<'a>, PlanError> {
    if settings.openapi_mode == OpenapiMode::Disabled {
        return Err(PlanError::RootDisabled);
    }
    if request.accept.iter().any(|media| matches!(media, Media::Json | Media::Openapi | Media::Any)) {
        return Ok(Plan::Root { version, headers_only });
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
    let mut node =
        place::Builder { request, snapshot, max_rows, allow_aggregates: settings.aggregates }.table(table)?;
    let mut format = format::negotiate(request, snapshot, settings, &table.name)?;
    format.name_columns(&mut node, Columns::Of(table));
    known_preferences(request)?;
    let is_whole = request.range == crate::request::RowRange::ALL && max_rows.is_none();
    Ok(ReadPlan { total: Total::of(request.prefer.count, is_whole, max_rows), node, format, headers_only })
}

fn table<'a>(request: &ApiRequest, snapshot: &'a Snapshot, name: &str) -> Result<&'a Table, PlanError> {
    snapshot.table(&request.schema, name).ok_or_else(|| unknown_table(request, snapshot, name))
}

fn unknown_table(request: &ApiRequest, snapshot: &Snapshot, name: &str) -> PlanError {
    let others = snapshot.table_names(&request.schema).filter(|other| *other != name);
    let (schema, table) = (request.schema.clone(), name.to_owned());
    PlanError::UnknownTable { schema, table, like: hint::similar(name, others) }
}

/// What the request would get if its table or function did not exist.
pub(crate) fn unknown(request: &ApiRequest, snapshot: &Snapshot) -> PlanError {
    match &request.action {
        Action::Read { table, .. } | Action::Write { table, .. } | Action::DescribeTable(table) => {
            unknown_table(request, snapshot, table)
        }
        Action::Call { function, method } => call::unknown(request, snapshot, function, *method),
        Action::DescribeFunction(function) => call::unknown(request, snapshot, function, CallMethod::Get),
        Action::DescribeRoot | Action::ReadRoot { .. } => PlanError::RootDisabled,
    }
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
