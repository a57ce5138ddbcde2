//! Calls of functions.

use bytes::Bytes;
use rowhouse_db::catalog::{Argument, Function, Returns, Snapshot, Volatility};
use rowhouse_db::flight::Access;

use super::column::Columns;
use super::function::{self, Given};
use super::place::Builder;
use super::{Format, PlanError, ReadNode, RowBounds, Total, format, known_preferences, max_rows, write};
use crate::request::{ApiRequest, CallMethod, Payload, RowRange, Shape};
use crate::settings::RestSettings;

/// A call and how its result is shown.
#[derive(Debug)]
pub(crate) struct CallPlan<'a> {
    pub(crate) function: &'a Function,
    pub(crate) arguments: Arguments<'a>,
    pub(crate) node: ReadNode<'a>,
    /// Columns taken from the result; `*` alone is all of them.
    pub(crate) columns: Vec<&'a str>,
    pub(crate) format: Format<'a>,
    pub(crate) headers_only: bool,
    pub(crate) total: Total,
    pub(crate) access: Access,
    pub(crate) bounds: Option<RowBounds>,
}

/// Where argument values come from.
#[derive(Debug)]
pub(crate) enum Arguments<'a> {
    None,
    /// One parameter each, in the text form of its type.
    Direct(Vec<(&'a Argument, Bytes)>),
    /// Expanded from a JSON body.
    Json {
        arguments: Vec<&'a Argument>,
        text: Bytes,
        shape: Shape,
        /// All values are strings.
        is_text: bool,
    },
    /// The whole body.
    Single(&'a Argument, Bytes),
}

pub(super) fn plan<'a>(
    request: &'a ApiRequest,
    snapshot: &'a Snapshot,
    settings: &RestSettings,
    name: &str,
    method: CallMethod,
) -> Result<CallPlan<'a>, PlanError> {
    let function = function::find(snapshot, &request.schema, name, &given(request, method))?;
    let max_rows = max_rows(settings);
    let (alias, table) = match &function.returns {
        Returns::Row(row) if row.name == "record" => (function.name.name.as_str(), None),
        Returns::Row(row) => (row.name.as_str(), snapshot.table(&row.schema, &row.name)),
        Returns::Void | Returns::Scalar => (function.name.name.as_str(), None),
    };
    let columns = table.map_or(Columns::Named(&function.columns), Columns::Of);
    let mut node = Builder { request, snapshot, max_rows, allow_aggregates: settings.aggregates }
        .given(alias, columns)?;
    node.range = request.range.first(max_rows);
    let of = table.map_or(&function.name, |table| &table.name);
    let mut format = format::negotiate(request, snapshot, settings, of)?;
    format.name_columns(&mut node, columns);
    known_preferences(request)?;
    let most = request.prefer.strict_max_affected();
    if most.is_some() && !function.returns_set {
        return Err(PlanError::MaxAffectedCall);
    }
    let access = match (method, function.volatility) {
        (CallMethod::Post, Volatility::Volatile) => Access::ReadWrite,
        _ => Access::ReadOnly,
    };
    let is_whole = request.range == RowRange::ALL && max_rows.is_none();
    Ok(CallPlan {
        function,
        arguments: arguments(request, function),
        columns: write::shown(&node),
        node,
        bounds: bounds(function, &format, most),
        format,
        headers_only: method == CallMethod::Head,
        total: Total::of(request.prefer.count, is_whole, max_rows),
        access,
    })
}

/// The methods that a function takes.
pub(super) fn allowed_on(request: &ApiRequest, snapshot: &Snapshot, name: &str) -> Result<String, PlanError> {
    let function = function::find(snapshot, &request.schema, name, &given(request, CallMethod::Get))?;
    Ok(match function.volatility {
        Volatility::Volatile => "OPTIONS,POST".to_owned(),
        Volatility::Stable | Volatility::Immutable => "OPTIONS,GET,HEAD,POST".to_owned(),
    })
}

/// As if there were no function of that name.
pub(super) fn unknown(
    request: &ApiRequest,
    snapshot: &Snapshot,
    name: &str,
    method: CallMethod,
) -> PlanError {
    function::unknown(snapshot, &request.schema, name, &given(request, method), &[])
}

fn given(request: &ApiRequest, method: CallMethod) -> Given<'_> {
    let names = match (method, &request.payload) {
        (CallMethod::Get | CallMethod::Head, _) => names_of(&request.arguments),
        (CallMethod::Post, Some(Payload::Form(pairs))) => names_of(pairs),
        (CallMethod::Post, Some(Payload::Json { keys, .. })) => keys.iter().map(String::as_str).collect(),
        (CallMethod::Post, _) => Vec::new(),
    };
    let body = (method == CallMethod::Post).then_some(&request.content_type);
    Given { names, body }
}

fn names_of(pairs: &[(String, String)]) -> Vec<&str> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn arguments<'a>(request: &'a ApiRequest, function: &'a Function) -> Arguments<'a> {
    let single = match function.arguments.as_slice() {
        [only] if only.name.is_empty() => Some(only),
        _ => None,
    };
    match (&request.payload, single) {
        (Some(Payload::Json { text, .. }), Some(argument)) => Arguments::Single(argument, text.clone()),
        (Some(Payload::Raw(body)), Some(argument)) => {
            Arguments::Single(argument, single_value(argument, body))
        }
        (Some(Payload::Json { text, shape, keys, is_text }), None) => {
            let named = |argument: &&Argument| keys.binary_search(&argument.name).is_ok();
            let arguments: Vec<&Argument> = function.arguments.iter().filter(named).collect();
            if arguments.is_empty() {
                return Arguments::None;
            }
            Arguments::Json { arguments, text: text.clone(), shape: *shape, is_text: *is_text }
        }
        (Some(Payload::Form(pairs)), _) => direct(function, pairs),
        (Some(Payload::Raw(_)), None) => Arguments::None,
        (None, _) => direct(function, &request.arguments),
    }
}

fn direct<'a>(function: &'a Function, pairs: &[(String, String)]) -> Arguments<'a> {
    let values = function.arguments.iter().filter_map(|argument| {
        let mut given =
            pairs.iter().filter(|(name, _)| *name == argument.name).map(|(_, value)| value.as_str());
        if argument.variadic {
            let all: Vec<&str> = given.collect();
            return (!all.is_empty()).then(|| (argument, Bytes::from(crate::literal::array(&all))));
        }
        given.next_back().map(|value| (argument, Bytes::copy_from_slice(value.as_bytes())))
    });
    let values: Vec<_> = values.collect();
    if values.is_empty() { Arguments::None } else { Arguments::Direct(values) }
}

/// Bytes are sent in PostgreSQL's hexadecimal text form.
fn single_value(argument: &Argument, body: &Bytes) -> Bytes {
    if argument.type_name != "bytea" {
        return body.clone();
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = body.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| DIGITS[usize::from(half)]);
    b"\\x".iter().copied().chain(digits).collect()
}

/// Bounds do not apply to a function that returns one result.
fn bounds(function: &Function, format: &Format<'_>, most: Option<i64>) -> Option<RowBounds> {
    if !function.returns_set {
        return None;
    }
    match (format.is_singular(), most) {
        (true, _) => Some(RowBounds { low: Some(1), high: Some(1), of_limits: false }),
        (_, Some(most)) => Some(RowBounds { low: None, high: Some(most), of_limits: false }),
        _ => None,
    }
}
