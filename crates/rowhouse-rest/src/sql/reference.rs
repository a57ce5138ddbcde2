//! How tables, columns and embeds are named within a statement.

use super::builder::Sql;
use super::value;
use crate::plan::{Qualifier, ResolvedField, Source};
use crate::request::JsonKey;

/// The aliases of an embed inside its parent's query.
pub(super) struct EmbedAlias {
    pub(super) depth: usize,
    pub(super) place: usize,
}

impl EmbedAlias {
    /// The name of the joined subquery, and of its one column when it gives an array.
    pub(super) fn write(&self, sql: &mut Sql) {
        sql.push("rowhouse_").number(self.depth).push("_").number(self.place);
    }

    /// The array of a to-many embed.
    pub(super) fn column(&self, sql: &mut Sql) {
        self.write(sql);
        sql.push(".");
        self.write(sql);
    }
}

/// Alias of a column of an embed that is only ordered by.
pub(super) const KEY: &str = "rowhouse_key";

/// The alias of the key of an order by an embed.
pub(super) struct OrderAlias {
    pub(super) depth: usize,
    pub(super) place: usize,
}

impl OrderAlias {
    pub(super) fn write(&self, sql: &mut Sql) {
        sql.push("rowhouse_order_").number(self.depth).push("_").number(self.place);
    }

    pub(super) fn key(&self, sql: &mut Sql) {
        self.write(sql);
        sql.push(".").push(KEY);
    }
}

pub(super) fn qualifier(sql: &mut Sql, qualifier: &Qualifier<'_>) {
    match qualifier {
        Qualifier::Table { schema, name } => sql.ident(schema).push(".").ident(name),
        Qualifier::Alias(name) => sql.ident(name),
        Qualifier::Embedded(number) => sql.push("rowhouse_t").number(*number),
        Qualifier::Body => sql.push("rowhouse_body"),
    };
}

/// `from table alias`.
pub(super) fn from(sql: &mut Sql, source: Source<'_>, name: &Qualifier<'_>) {
    sql.push(" from ");
    match source {
        Source::Table(table) => sql.qualified(&table.name),
        Source::Cte => sql.push("rowhouse_source"),
    };
    if !matches!(name, Qualifier::Table { .. }) {
        sql.push(" as ");
        qualifier(sql, name);
    }
}

/// A column, or the value at its JSON path. `*` is every column.
pub(super) fn field(sql: &mut Sql, table: &Qualifier<'_>, field: &ResolvedField<'_>) {
    if let (Qualifier::Body, Some(column)) = (table, field.column) {
        // Values of the body may have to be converted.
        return value::read(sql, column, false);
    }
    let wraps = field.to_json && !field.path.is_empty();
    sql.push(if wraps { "to_jsonb(" } else { "" });
    qualifier(sql, table);
    sql.push(".");
    if field.name == "*" && field.path.is_empty() {
        sql.push("*")
    } else {
        sql.ident(field.name)
    };
    sql.push(if wraps { ")" } else { "" });
    path(sql, field);
}

pub(super) fn path(sql: &mut Sql, field: &ResolvedField<'_>) {
    for step in field.path {
        sql.push(if step.as_text { "->>" } else { "->" });
        match &step.key {
            JsonKey::Name(name) => sql.param(name),
            JsonKey::Index(index) => sql.param(index).push("::integer"),
        };
    }
}
