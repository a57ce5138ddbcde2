//! Valid column names: the columns of a table, and the project's computed columns.
//!
//! PostgreSQL also accepts any function of a row as a column (`select t.json_agg from t`). That would bypass
//! `rest.aggregates` and the limits on rows, so unknown names never get into a statement. The error is PostgreSQL's
//! own.

use rowhouse_db::catalog::Table;

use super::node::{Distinct, Ordering, ReadNode};
use super::{Condition, PlanError, ResolvedField, hint};

/// The farthest a suggested name may be from the wrong one, as in PostgreSQL (`MAX_FUZZY_DISTANCE`).
const MAX_DISTANCE: usize = 3;

/// The names of a level's columns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Columns<'a> {
    Of(&'a Table),
    /// Those of the rows that a function returns.
    Named(&'a [String]),
}

impl<'a> Columns<'a> {
    pub(super) fn has(self, name: &str) -> bool {
        match self {
            Self::Of(table) => table.knows(name),
            Self::Named(names) => names.iter().any(|known| known == name),
        }
    }

    pub(super) fn names(self) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        match self {
            Self::Of(table) => Box::new(table.columns.iter().map(|column| column.name.as_str())),
            Self::Named(names) => Box::new(names.iter().map(String::as_str)),
        }
    }

    /// Refuses an unknown column. `relation` is its table's name in PostgreSQL's message.
    pub(super) fn require(self, relation: &str, name: &str) -> Result<(), PlanError> {
        if name == "*" || self.has(name) {
            return Ok(());
        }
        let like: Vec<String> =
            self.similar(name).into_iter().map(|like| format!("{relation}.{like}")).collect();
        Err(PlanError::UndefinedColumn { column: format!("{relation}.{name}"), like })
    }

    /// The most similar name, or two that are equally similar.
    fn similar(self, name: &str) -> Vec<&'a str> {
        let wanted: Vec<char> = name.chars().collect();
        let most = MAX_DISTANCE.min(wanted.len() / 2);
        let distance = |name: &str| hint::distance(&wanted, &name.chars().collect::<Vec<_>>());
        let near = self.names().map(|name| (distance(name), name)).filter(|(distance, _)| *distance <= most);
        let mut near: Vec<(usize, &str)> = near.collect();
        near.sort_by_key(|(distance, _)| *distance);
        let Some((least, _)) = near.first().copied() else { return Vec::new() };
        near.retain(|(distance, _)| *distance == least);
        if near.len() > 2 { Vec::new() } else { near.into_iter().map(|(_, name)| name).collect() }
    }
}

/// Refuses a level with unknown columns.
pub(super) fn check(node: &ReadNode<'_>, columns: Columns<'_>, relation: &str) -> Result<(), PlanError> {
    let selected = node.select.iter().map(|selected| selected.field.name);
    selected.chain(named(node)).try_for_each(|name| columns.require(relation, name))
}

/// Columns in conditions, order and distinct.
fn named<'a>(node: &ReadNode<'a>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for condition in node.conditions.iter().chain(&node.having) {
        condition.columns(&mut names);
    }
    let keys = match &node.distinct {
        Some(Distinct::On(keys)) => keys.as_slice(),
        Some(Distinct::Rows) | None => &[],
    };
    let ordered = node.order.iter().map(|order| &order.by).chain(keys).filter_map(|by| match by {
        Ordering::Column(field) => Some(field.name),
        Ordering::Aggregate(measure) => Some(measure.field.name),
        // Those of embeds were checked there.
        Ordering::Embed { .. } | Ordering::Shown(_) => None,
    });
    names.extend(ordered);
    names
}

/// The conditions of a write.
pub(super) fn check_conditions(conditions: &[Condition<'_>], table: &Table) -> Result<(), PlanError> {
    let mut names = Vec::new();
    conditions.iter().for_each(|condition| condition.columns(&mut names));
    names.into_iter().try_for_each(|name| Columns::Of(table).require(&table.name.name, name))
}

/// The name under which PostgreSQL's messages know an embedded table.
pub(crate) fn relation(table: &str, depth: usize) -> String {
    format!("{table}_{depth}")
}

/// `count` without brackets, as older clients write it: the number of rows, unless a column has that name.
pub(super) fn is_bare_count(field: &ResolvedField<'_>, columns: Columns<'_>) -> bool {
    field.name == "count" && field.path.is_empty() && !columns.has("count")
}
