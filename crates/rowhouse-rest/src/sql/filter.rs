//! Conditions, columns and order as SQL.

use super::builder::{Sql, array_literal};
use crate::plan::{Condition, Measure, OrderBy, Ordering, Qualifier, ResolvedField, Source, name_of};
use crate::request::{
    Compare, Connective, Direction, IsValue, JsonKey, Nulls, Operation, Quantifier, Search,
};

/// How an embed is known inside its parent's query.
pub(super) struct EmbedAlias {
    pub(super) depth: usize,
    pub(super) place: usize,
}

impl EmbedAlias {
    /// The name of the joined subquery, and of its one column when it gives an array.
    pub(super) fn write(&self, sql: &mut Sql) {
        sql.push("rowhouse_").number(self.depth).push("_").number(self.place);
    }
}

/// How a condition on an embed is written: against its join, or as a subquery where there is no join.
pub(super) type HasEmbed<'f> = &'f dyn Fn(&mut Sql, usize);

pub(super) fn qualifier(sql: &mut Sql, qualifier: &Qualifier<'_>) {
    match qualifier {
        Qualifier::Table { schema, name } => sql.ident(schema).push(".").ident(name),
        Qualifier::Alias(name) => sql.ident(name),
        Qualifier::Numbered { name, depth } => sql.ident(&format!("{name}_{depth}")),
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

/// A column, or the place its JSON path leads to. `*` is every column.
pub(super) fn field(sql: &mut Sql, table: &Qualifier<'_>, field: &ResolvedField<'_>) {
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

/// ` where …`, if there is anything to say.
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
            compare(sql, None, operation);
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
    sql.push(name_of(measure.function)).push(if measure.cast.is_some() { "(cast(" } else { "(" });
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

/// Operator and value, behind what is compared. `reader` makes a value of the column's type from text.
fn compare(sql: &mut Sql, reader: Option<&str>, operation: &Operation) {
    match operation {
        Operation::Compare { operator, quantifier, value } => {
            sql.push(symbol(*operator));
            let opened = match quantifier {
                Some(Quantifier::Any) => "any (",
                Some(Quantifier::All) => "all (",
                None => "",
            };
            sql.push(opened);
            match operator {
                Compare::Like | Compare::Ilike => sql.param(value.replace('*', "%")),
                _ => match reader {
                    Some(reader) => sql.push(reader).push("(").param(value).push(")"),
                    None => sql.param(value),
                },
            };
            sql.push(if quantifier.is_some() { ")" } else { "" });
        }
        Operation::In(values) => {
            // `in.()` reads as one empty element and matches nothing.
            let literal = if values.as_slice() == [""] { "{}".to_owned() } else { array_literal(values) };
            sql.push(" = any (");
            match reader {
                Some(reader) => {
                    sql.push("(select ").push(reader).push("(unnest(").param(literal).push("::text[])))")
                }
                None => sql.param(literal),
            };
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
            sql.push(" is distinct from ").param(value);
        }
        Operation::Search { .. } => {}
    }
}

/// What is no text search vector becomes one.
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
    sql.list(terms, ", ", |sql, term| {
        key(sql, table, &term.by, depth);
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

/// What is sorted by or told apart by.
pub(super) fn key(sql: &mut Sql, table: &Qualifier<'_>, by: &Ordering<'_>, depth: usize) {
    match by {
        Ordering::Column(column) => field(sql, table, column),
        Ordering::Shown(place) => {
            sql.number(*place);
        }
        Ordering::Aggregate(of) => measure(sql, table, of),
        Ordering::Embed { place, field } => {
            let wraps = field.to_json && !field.path.is_empty();
            sql.push(if wraps { "to_jsonb(" } else { "" });
            EmbedAlias { depth, place: *place }.write(sql);
            sql.push(".").ident(field.name).push(if wraps { ")" } else { "" });
            path(sql, field);
        }
    }
}
