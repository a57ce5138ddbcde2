//! Inserts, updates, upserts and deletes.

use bytes::Bytes;
use rowhouse_db::catalog::{Column, Snapshot, Table};

use super::column::{self, Columns};
use super::place::Builder;
use super::{
    Condition, Distinct, Format, Ordering, PlanError, ReadNode, clause, format, known_preferences, table,
};
use crate::request::{ApiRequest, Compare, Filter, Missing, Mutation, Operation, Payload, Representation};
use crate::request::{Resolution, Shape};
use crate::settings::RestSettings;

/// A change to one table or view.
#[derive(Debug)]
pub(crate) struct WritePlan<'a> {
    pub(crate) table: &'a Table,
    pub(crate) mutation: Mutation,
    pub(crate) effect: Effect<'a>,
    pub(crate) returning: Returning<'a>,
    /// How the written rows are shown; present with `return=representation`.
    pub(crate) read: Option<ReadNode<'a>>,
    pub(crate) format: Format<'a>,
    /// How many rows may be written, else everything is rolled back.
    pub(crate) bounds: Option<RowBounds>,
}

#[derive(Debug)]
pub(crate) enum Effect<'a> {
    Insert {
        rows: RowSource<'a>,
        conflict: Option<Conflict<'a>>,
        /// PUT: the row must have the key that the URL names.
        must_match: Vec<Condition<'a>>,
        /// Counts new rows separately from merged ones.
        counts_new: bool,
    },
    Update {
        rows: RowSource<'a>,
        conditions: Vec<Condition<'a>>,
    },
    Delete {
        conditions: Vec<Condition<'a>>,
    },
}

/// The body as rows.
#[derive(Debug)]
pub(crate) struct RowSource<'a> {
    pub(crate) text: Bytes,
    pub(crate) shape: Shape,
    pub(crate) columns: Vec<&'a Column>,
    /// Missing columns take their defaults.
    pub(crate) fill_defaults: bool,
    /// All values are strings, as in CSV and forms; JSON columns have to be parsed.
    pub(crate) is_text: bool,
}

#[derive(Debug)]
pub(crate) struct Conflict<'a> {
    pub(crate) resolution: Resolution,
    pub(crate) columns: Vec<&'a str>,
}

/// The columns that a write returns. Returning nothing needs no privilege to read.
#[derive(Debug)]
pub(crate) enum Returning<'a> {
    Nothing,
    /// The primary key, for `Location`.
    Key(Vec<&'a str>),
    /// Columns; `*` alone is all of them.
    Columns(Vec<&'a str>),
}

/// Fewest and most rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowBounds {
    pub(crate) low: Option<i64>,
    pub(crate) high: Option<i64>,
    /// The upper bound is a limit of role or tenant, not the client's.
    pub(crate) of_limits: bool,
}

pub(super) fn plan<'a>(
    request: &'a ApiRequest,
    snapshot: &'a Snapshot,
    settings: &RestSettings,
    name: &str,
    mutation: Mutation,
) -> Result<WritePlan<'a>, PlanError> {
    let table = table(request, snapshot, name)?;
    clause::only_below(request)?;
    let effect = effect(request, table, mutation)?;
    column::check_conditions(&conditions(request, table), table)?;
    known_preferences(request)?;
    let mut format = format::negotiate(request, snapshot, settings, &table.name)?;
    // Root filters choose what is written; they must not filter the representation again.
    let read = Builder { request, snapshot, max_rows: None, allow_aggregates: settings.aggregates }
        .given(&table.name.name, Columns::Of(table))?;
    let mut read = ReadNode { conditions: Vec::new(), ..read };
    format.name_columns(&mut read, Columns::Of(table));
    let full = request.prefer.representation == Some(Representation::Full);
    let returning = match request.prefer.representation {
        Some(Representation::Full) => Returning::Columns(shown(&read)),
        Some(Representation::HeadersOnly)
            if mutation == Mutation::Insert && !table.primary_key.is_empty() =>
        {
            // In the order of columns, as PostgREST writes them.
            let in_key = |column: &&Column| table.primary_key.contains(&column.name);
            Returning::Key(table.columns.iter().filter(in_key).map(|column| column.name.as_str()).collect())
        }
        _ => Returning::Nothing,
    };
    let bounds = bounds(request, mutation, &format);
    Ok(WritePlan { table, mutation, effect, returning, read: full.then_some(read), format, bounds })
}

fn effect<'a>(
    request: &'a ApiRequest,
    table: &'a Table,
    mutation: Mutation,
) -> Result<Effect<'a>, PlanError> {
    let key = || table.primary_key.iter().map(String::as_str);
    Ok(match mutation {
        Mutation::Insert => {
            let columns: Vec<&str> = match &request.on_conflict {
                Some(columns) => columns.iter().map(String::as_str).collect(),
                None => key().collect(),
            };
            let conflict = request.prefer.resolution.filter(|_| !columns.is_empty());
            Effect::Insert {
                rows: rows(request, table)?,
                conflict: conflict.map(|resolution| Conflict { resolution, columns }),
                must_match: Vec::new(),
                counts_new: request.prefer.resolution == Some(Resolution::Merge),
            }
        }
        Mutation::Replace => {
            check_put(request, table)?;
            Effect::Insert {
                rows: RowSource { fill_defaults: false, ..rows(request, table)? },
                conflict: Some(Conflict { resolution: Resolution::Merge, columns: key().collect() }),
                must_match: conditions(request, table),
                counts_new: true,
            }
        }
        Mutation::Update => {
            Effect::Update { rows: rows(request, table)?, conditions: conditions(request, table) }
        }
        Mutation::Delete => Effect::Delete { conditions: conditions(request, table) },
    })
}

/// Filters of the root only: they choose rows.
fn conditions<'a>(request: &'a ApiRequest, table: &'a Table) -> Vec<Condition<'a>> {
    let logic = request.logic.iter().filter(|(path, _)| path.is_empty());
    let filters = request.filters.iter().filter(|(path, _)| path.is_empty());
    logic
        .map(|(_, logic)| Condition::logic(logic, Some(table)))
        .chain(filters.map(|(_, filter)| Condition::filter(filter, Some(table))))
        .collect()
}

fn rows<'a>(request: &'a ApiRequest, table: &'a Table) -> Result<RowSource<'a>, PlanError> {
    let Some(Payload::Json { text, shape, keys, is_text }) = &request.payload else {
        return Err(PlanError::NotImplemented("Bodies of this kind are not implemented."));
    };
    let columns = keys.iter().map(|key| {
        table
            .column(key)
            .ok_or_else(|| PlanError::UnknownColumn { table: table.name.name.clone(), column: key.clone() })
    });
    Ok(RowSource {
        text: text.clone(),
        shape: *shape,
        is_text: *is_text,
        columns: columns.collect::<Result<_, _>>()?,
        fill_defaults: request.prefer.missing == Some(Missing::Default),
    })
}

/// PUT names exactly one row: an `eq` for each column of the primary key and nothing else.
fn check_put(request: &ApiRequest, table: &Table) -> Result<(), PlanError> {
    let is_eq = |filter: &Filter| {
        let eq =
            matches!(&filter.operation, Operation::Compare { operator: Compare::Eq, quantifier: None, .. });
        eq && !filter.negated && filter.field.path.is_empty()
    };
    let on_key = request.filters.iter().all(|(path, filter)| {
        path.is_empty() && is_eq(filter) && table.primary_key.contains(&filter.field.name)
    });
    let whole_key = table
        .primary_key
        .iter()
        .all(|column| request.filters.iter().any(|(_, filter)| filter.field.name == *column));
    let fine = request.logic.is_empty() && on_key && whole_key && !table.primary_key.is_empty();
    if fine { Ok(()) } else { Err(PlanError::PutFilters) }
}

fn bounds(request: &ApiRequest, mutation: Mutation, format: &Format<'_>) -> Option<RowBounds> {
    if mutation == Mutation::Replace || format.is_singular() {
        return Some(RowBounds { low: Some(1), high: Some(1), of_limits: false });
    }
    let limited = matches!(mutation, Mutation::Update | Mutation::Delete);
    let most = request.prefer.strict_max_affected().filter(|_| limited)?;
    Some(RowBounds { low: None, high: Some(most), of_limits: false })
}

/// Columns that the representation needs: those shown, ordered by, and joined on.
pub(super) fn shown<'a>(node: &ReadNode<'a>) -> Vec<&'a str> {
    let mut columns: Vec<&str> = node.select.iter().map(|selected| selected.field.name).collect();
    // It is unknown which columns a function uses.
    let computed = node.embeds.iter().any(|embed| embed.relation.columns.is_empty());
    if computed || columns.contains(&"*") || (columns.is_empty() && node.embeds.is_empty()) {
        return vec!["*"];
    }
    let distinct = match &node.distinct {
        Some(Distinct::On(keys)) => keys.as_slice(),
        Some(Distinct::Rows) | None => &[],
    };
    columns.extend(node.order.iter().map(|order| &order.by).chain(distinct).filter_map(|by| match by {
        Ordering::Column(field) => Some(field.name),
        Ordering::Aggregate(measure) => Some(measure.field.name),
        Ordering::Embed { .. } | Ordering::Shown(_) => None,
    }));
    for condition in node.conditions.iter().chain(&node.having) {
        condition.columns(&mut columns);
    }
    if columns.contains(&"*") {
        return vec!["*"];
    }
    for embed in &node.embeds {
        columns.extend(embed.relation.columns.iter().map(|(here, _)| here.as_str()));
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}
