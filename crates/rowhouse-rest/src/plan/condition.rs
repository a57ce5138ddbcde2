//! Filters and logic trees with their columns resolved.

use rowhouse_db::catalog::{Column, Table};

use crate::request::{
    Aggregate, Applied, Connective, Field, Filter, GroupFilter, JsonStep, Logic, Operation,
};

/// A resolved column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResolvedField<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: &'a [JsonStep],
    /// The path goes into a value that has to be converted to JSON first.
    pub(crate) to_json: bool,
    /// Assumed to be a text search vector already.
    pub(crate) is_vector: bool,
    /// The column, where it is known.
    pub(crate) column: Option<&'a Column>,
}

impl<'a> ResolvedField<'a> {
    /// The row itself.
    pub(crate) const ROW: ResolvedField<'static> =
        ResolvedField { name: "*", path: &[], to_json: true, is_vector: false, column: None };

    /// A column without a path.
    pub(crate) fn column(column: &'a Column) -> Self {
        Self { name: &column.name, path: &[], to_json: true, is_vector: false, column: Some(column) }
    }

    /// The function that converts the column's values to JSON, if its domain has one.
    pub(crate) fn shown_by(&self) -> Option<&'a str> {
        self.column.filter(|_| self.path.is_empty())?.representation.to_json.as_deref()
    }

    /// The function that parses values compared with the column, if its domain has one.
    pub(crate) fn read_by(&self) -> Option<&'a str> {
        self.column.filter(|_| self.path.is_empty())?.representation.from_text.as_deref()
    }

    /// Whether both are the same column and path.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.path == other.path
    }

    /// Looks the column up; computed columns and those of function results stay unknown and are left to PostgreSQL.
    pub(crate) fn new(field: &'a Field, table: Option<&'a Table>) -> Self {
        let column = table.and_then(|table| table.column(&field.name));
        let base = column.map(|column| column.base_type.as_str());
        Self {
            name: &field.name,
            path: &field.path,
            to_json: !matches!(base, Some("json" | "jsonb")),
            // Unknown columns are not converted: a computed one may be a vector.
            is_vector: matches!(base, None | Some("tsvector")) && field.path.is_empty(),
            column,
        }
    }
}

/// An aggregate to compare or sort by. The field `*` is the row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure<'a> {
    pub(crate) function: Aggregate,
    pub(crate) field: ResolvedField<'a>,
    pub(crate) cast: Option<&'a str>,
}

impl<'a> Measure<'a> {
    pub(crate) fn new(field: &'a Field, applied: &'a Applied, table: Option<&'a Table>) -> Self {
        let field = ResolvedField::new(field, table);
        Self { function: applied.function, field, cast: applied.cast.as_deref() }
    }
}

/// A condition on rows or groups.
#[derive(Debug)]
pub(crate) enum Condition<'a> {
    Filter {
        field: ResolvedField<'a>,
        negated: bool,
        operation: &'a Operation,
    },
    /// On a group of rows.
    Measured {
        of: Measure<'a>,
        negated: bool,
        operation: &'a Operation,
    },
    Group {
        negated: bool,
        connective: Connective,
        items: Vec<Condition<'a>>,
    },
    /// Whether the embed at this position among its siblings has a row.
    HasEmbed {
        place: usize,
        negated: bool,
    },
}

impl<'a> Condition<'a> {
    pub(crate) fn filter(filter: &'a Filter, table: Option<&'a Table>) -> Self {
        let field = ResolvedField::new(&filter.field, table);
        Self::Filter { field, negated: filter.negated, operation: &filter.operation }
    }

    /// A condition on groups.
    pub(crate) fn measured(filter: &'a GroupFilter, table: Option<&'a Table>) -> Self {
        let of = Measure::new(&filter.field, &filter.applied, table);
        Self::Measured { of, negated: filter.negated, operation: &filter.operation }
    }

    pub(crate) fn logic(logic: &'a Logic, table: Option<&'a Table>) -> Self {
        Self::tree(logic, table, Self::filter)
    }

    /// A tree whose leaves are converted by `leaf`.
    pub(crate) fn tree<F>(
        logic: &'a Logic<F>,
        table: Option<&'a Table>,
        leaf: fn(&'a F, Option<&'a Table>) -> Self,
    ) -> Self {
        match logic {
            Logic::Filter(filter) => leaf(filter, table),
            Logic::Group { negated, connective, items } => Self::Group {
                negated: *negated,
                connective: *connective,
                items: items.iter().map(|item| Self::tree(item, table, leaf)).collect(),
            },
        }
    }

    /// Names of all columns that it uses.
    pub(crate) fn columns(&self, found: &mut Vec<&'a str>) {
        match self {
            Self::Filter { field, .. } => found.push(field.name),
            Self::Measured { of, .. } => found.push(of.field.name),
            Self::Group { items, .. } => items.iter().for_each(|item| item.columns(found)),
            Self::HasEmbed { .. } => {}
        }
    }
}
