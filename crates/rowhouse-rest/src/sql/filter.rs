//! Conditions as SQL.

use super::builder::Sql;
use super::reference::field;
use crate::plan::{Condition, Measure, Qualifier, ResolvedField};
use crate::request::{Aggregate, Compare, Connective, IsValue, Operation, Quantifier, Search};

/// How a condition on an embed is written: against its join, or as a subquery where there is no join.
pub(super) type HasEmbed<'f> = &'f dyn Fn(&mut Sql, usize);

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
pub(super) fn measure(sql: &mut Sql, table: &Qualifier<'_>, measure: &Measure<'_>) {
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
