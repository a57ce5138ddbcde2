//! Conditions, columns and order as SQL.

use super::builder::Sql;
use super::value;
use crate::plan::{Condition, Measure, OrderBy, Ordering, Qualifier, ResolvedField, Source};
use crate::request::{
    Aggregate, Compare, Connective, Direction, IsValue, JsonKey, Nulls, Operation, Quantifier, RowRange,
    Search,
};

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

/// How a condition on an embed is written: against its join, or as a subquery where there is no join.
pub(super) type HasEmbed<'f> = &'f dyn Fn(&mut Sql, usize);

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

fn path(sql: &mut Sql, field: &ResolvedField<'_>) {
    for step in field.path {
        sql.push(if step.as_text { "->>" } else { "->" });
        match &step.key {
            JsonKey::Name(name) => sql.param(name),
            JsonKey::Index(index) => sql.param(index).push("::integer"),
        };
    }
}

/// ` where …`, if there are conditions.
pub(super) fn filter_rows(
    sql: &mut Sql,
    table: &Qualifier<'_>,
    conditions: &[Condition<'_>],
    embed: HasEmbed<'_>,
) {
    if !conditions.is_empty() {
        sql.push(" where ");
        all(sql, table, conditions, embed);
    }
}

/// Conditions joined by `and`.
pub(super) fn all(sql: &mut Sql, table: &Qualifier<'_>, conditions: &[Condition<'_>], embed: HasEmbed<'_>) {
    sql.list(conditions, " and ", |sql, item| condition(sql, table, item, embed));
}

/// For statements without embeds.
pub(super) fn no_embed(_: &mut Sql, _: usize) {}

fn condition(sql: &mut Sql, table: &Qualifier<'_>, item: &Condition<'_>, embed: HasEmbed<'_>) {
    match item {
        Condition::Filter { field, negated, operation } => {
            sql.push(if *negated { "not " } else { "" });
            filter(sql, table, field, operation);
        }
        Condition::Measured { of, negated, operation } => {
            sql.push(if *negated { "not " } else { "" });
            measure(sql, table, of);
            let is_value = matches!(of.function, Aggregate::Max | Aggregate::Min) && of.cast.is_none();
            compare(sql, of.field.read_by().filter(|_| is_value), operation);
        }
        Condition::Group { negated, connective, items } => {
            sql.push(if *negated { "not (" } else { "(" });
            let word = match connective {
                Connective::And => " and ",
                Connective::Or => " or ",
            };
            sql.list(items, word, |sql, item| condition(sql, table, item, embed));
            sql.push(")");
        }
        Condition::HasEmbed { place, negated } => {
            sql.push(if *negated { "not (" } else { "(" });
            embed(sql, *place);
            sql.push(")");
        }
    }
}

fn filter(sql: &mut Sql, table: &Qualifier<'_>, column: &ResolvedField<'_>, operation: &Operation) {
    if let Operation::Search { kind, config, value } = operation {
        return search(sql, table, column, (*kind, config.as_deref(), value));
    }
    field(sql, table, column);
    compare(sql, column.read_by(), operation);
}

/// An aggregate as it is compared and sorted by.
fn measure(sql: &mut Sql, table: &Qualifier<'_>, measure: &Measure<'_>) {
    sql.push(measure.function.name()).push(if measure.cast.is_some() { "(cast(" } else { "(" });
    if measure.field.name == "*" {
        sql.push("*");
    } else {
        field(sql, table, &measure.field);
    }
    if let Some(cast) = measure.cast {
        sql.push(" as ").push(cast).push(")");
    }
    sql.push(")");
}

/// Operator and value. `reader` converts text to the column's type.
fn compare(sql: &mut Sql, reader: Option<&str>, operation: &Operation) {
    match operation {
        Operation::Compare { operator, quantifier, value } => {
            sql.push(symbol(*operator));
            let is_pattern = matches!(operator, Compare::Like | Compare::Ilike);
            let opened = match quantifier {
                Some(Quantifier::Any) => "any (",
                Some(Quantifier::All) => "all (",
                None => "",
            };
            sql.push(opened);
            match reader.filter(|_| !is_pattern) {
                Some(reader) if quantifier.is_some() => each(sql, reader, value),
                Some(reader) => call(sql, reader, value),
                None if is_pattern => {
                    sql.param(value.replace('*', "%"));
                }
                None => {
                    sql.param(value);
                }
            }
            sql.push(if quantifier.is_some() { ")" } else { "" });
        }
        Operation::In(values) => {
            let literal = crate::literal::array(values);
            sql.push(" = any (");
            match reader {
                Some(reader) => each(sql, reader, &literal),
                None => {
                    sql.param(literal);
                }
            }
            sql.push(")");
        }
        Operation::Is(value) => {
            sql.push(match value {
                IsValue::Null => " is null",
                IsValue::NotNull => " is not null",
                IsValue::True => " is true",
                IsValue::False => " is false",
                IsValue::Unknown => " is unknown",
            });
        }
        Operation::IsDistinct(value) => {
            sql.push(" is distinct from ");
            match reader {
                Some(reader) => call(sql, reader, value),
                None => {
                    sql.param(value);
                }
            }
        }
        Operation::Search { .. } => {}
    }
}

/// A value, read.
fn call(sql: &mut Sql, reader: &str, value: &str) {
    sql.push(reader).push("(").param(value).push(")");
}

/// The elements of an array, each read.
fn each(sql: &mut Sql, reader: &str, literal: &str) {
    sql.push("(select ").push(reader).push("(unnest(").param(literal).push("::text[])))");
}

/// Converts to a text search vector if necessary.
fn search(
    sql: &mut Sql,
    table: &Qualifier<'_>,
    column: &ResolvedField<'_>,
    (kind, config, value): (Search, Option<&str>, &str),
) {
    let language = |sql: &mut Sql| {
        if let Some(config) = config {
            sql.param(config).push("::regconfig, ");
        }
    };
    if !column.is_vector {
        sql.push("to_tsvector(");
        language(sql);
    }
    field(sql, table, column);
    sql.push(if column.is_vector { "" } else { ")" });
    sql.push(match kind {
        Search::Raw => " @@ to_tsquery(",
        Search::Plain => " @@ plainto_tsquery(",
        Search::Phrase => " @@ phraseto_tsquery(",
        Search::Web => " @@ websearch_to_tsquery(",
    });
    language(sql);
    sql.param(value).push(")");
}

fn symbol(operator: Compare) -> &'static str {
    match operator {
        Compare::Eq => " = ",
        Compare::Gte => " >= ",
        Compare::Gt => " > ",
        Compare::Lte => " <= ",
        Compare::Lt => " < ",
        Compare::Like => " like ",
        Compare::Ilike => " ilike ",
        Compare::Match => " ~ ",
        Compare::Imatch => " ~* ",
        Compare::Neq => " <> ",
        Compare::Contains => " @> ",
        Compare::Contained => " <@ ",
        Compare::Overlaps => " && ",
        Compare::StrictlyLeft => " << ",
        Compare::StrictlyRight => " >> ",
        Compare::NotExtendsRight => " &< ",
        Compare::NotExtendsLeft => " &> ",
        Compare::Adjacent => " -|- ",
    }
}

/// ` order by …`, if asked for. `depth` is that of the embeds which may be ordered by.
pub(super) fn order(sql: &mut Sql, table: &Qualifier<'_>, terms: &[OrderBy<'_>], depth: usize) {
    if terms.is_empty() {
        return;
    }
    sql.push(" order by ");
    sql.list(terms.iter().enumerate(), ", ", |sql, (place, term)| {
        match &term.by {
            Ordering::Embed { output: None, .. } => OrderAlias { depth, place }.key(sql),
            by => key(sql, table, by, depth),
        }
        sql.push(match term.direction {
            Some(Direction::Asc) => " asc",
            Some(Direction::Desc) => " desc",
            None => "",
        });
        sql.push(match term.nulls {
            Some(Nulls::First) => " nulls first",
            Some(Nulls::Last) => " nulls last",
            None => "",
        });
    });
}

/// An expression of `order by` or `distinct on`.
pub(super) fn key(sql: &mut Sql, table: &Qualifier<'_>, by: &Ordering<'_>, depth: usize) {
    match by {
        Ordering::Column(column) => field(sql, table, column),
        Ordering::Shown(place) => {
            sql.number(*place);
        }
        Ordering::Aggregate(of) => measure(sql, table, of),
        Ordering::Embed { place, field, output } => {
            let wraps = field.to_json && !field.path.is_empty();
            sql.push(if wraps { "to_jsonb(" } else { "" });
            EmbedAlias { depth, place: *place }.write(sql);
            sql.push(".").ident(output.unwrap_or(field.name)).push(if wraps { ")" } else { "" });
            path(sql, field);
        }
    }
}

/// ` limit … offset …`, as far as there are any.
pub(super) fn within(sql: &mut Sql, range: RowRange) {
    if let Some(limit) = range.limit() {
        sql.push(" limit ").rows(limit);
    }
    if range.lower > 0 {
        sql.push(" offset ").rows(range.lower);
    }
}
