//! `select=`: columns, casts, aggregates, embeds, spreads.

use super::cursor::{Cursor, Mistake};
use super::name::{field, name, type_name};
use super::{MAX_DEPTH, MAX_ITEMS};
use crate::request::{Aggregate, Applied, Embed, Field, JoinType, JsonKey, SelectColumn, SelectItem};

/// What PostgreSQL keeps of a name (`NAMEDATALEN` less its closing byte).
const MAX_NAME_BYTES: usize = 63;

/// The whole parameter; empty text selects nothing in particular, which means every column.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Vec<SelectItem>, Mistake> {
    let items = forest(cursor, 0)?;
    cursor.expect_end()?;
    Ok(items)
}

/// The parameter's default.
pub(super) fn everything() -> Vec<SelectItem> {
    vec![SelectItem::Column(plain(star()))]
}

fn forest(cursor: &mut Cursor<'_>, depth: usize) -> Result<Vec<SelectItem>, Mistake> {
    if depth > MAX_DEPTH {
        return Err(cursor.mistake("at most 64 levels of embedding"));
    }
    let mut items = Vec::new();
    cursor.skip_blanks();
    if cursor.is_done() || cursor.starts_with(")") {
        return Ok(items);
    }
    loop {
        cursor.skip_blanks();
        if items.len() >= MAX_ITEMS {
            return Err(cursor.mistake("at most 1600 items"));
        }
        items.push(item(cursor, depth)?);
        cursor.skip_blanks();
        if !cursor.eat(",") {
            return Ok(items);
        }
    }
}

fn item(cursor: &mut Cursor<'_>, depth: usize) -> Result<SelectItem, Mistake> {
    let (start, mut ahead) = (*cursor, *cursor);
    if let Some(mut embed) = embed_head(&mut ahead) {
        check_length(&start, embed.alias.as_deref())?;
        *cursor = ahead;
        cursor.expect("(", "\"(\"")?;
        embed.items = forest(cursor, depth + 1)?;
        cursor.expect(")", "\",\" or \")\"")?;
        return Ok(SelectItem::Embed(embed));
    }
    column(cursor).map(SelectItem::Column)
}

/// `alias:relation!hint!inner` in front of an opening bracket; `None` otherwise.
fn embed_head(cursor: &mut Cursor<'_>) -> Option<Embed> {
    let spread = cursor.eat("...");
    let alias = if spread { None } else { alias(cursor) };
    let relation = name(cursor).ok()?;
    if relation == "count" && !spread {
        return None;
    }
    let (mut hint, mut join) = (None, None);
    for _ in 0..2 {
        if !cursor.eat("!") {
            break;
        }
        match name(cursor).ok()? {
            word if word == "inner" => join = join.or(Some(JoinType::Inner)),
            word if word == "left" => join = join.or(Some(JoinType::Left)),
            word => hint = hint.or(Some(word)),
        }
    }
    let found = cursor.starts_with("(");
    let join = join.unwrap_or(JoinType::Left);
    found.then_some(Embed { relation, alias, hint, join, spread, items: Vec::new() })
}

/// `name:`, but not the beginning of a cast.
fn alias(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut ahead = *cursor;
    let alias = name(&mut ahead).ok()?;
    if !ahead.eat(":") || ahead.starts_with(":") {
        return None;
    }
    *cursor = ahead;
    Some(alias)
}

fn column(cursor: &mut Cursor<'_>) -> Result<SelectColumn, Mistake> {
    if cursor.eat("*") {
        end(cursor, "\")\", \",\" or end of input")?;
        return Ok(plain(star()));
    }
    let start = *cursor;
    let alias = alias(cursor);
    let mut column = if cursor.eat("count()") {
        SelectColumn { aggregate: Some(Aggregate::Count), ..plain(star()) }
    } else {
        let mut column = plain(field(cursor)?);
        column.cast = cast(cursor)?;
        column.aggregate = aggregate(cursor);
        column
    };
    column.aggregate_cast = if column.aggregate.is_some() { cast(cursor)? } else { None };
    column.alias = alias;
    check_length(&start, column.alias.as_deref().or(key(&column)))?;
    end(cursor, "letter, digit, \"-\", \"->>\", \"->\", \"::\", \".\", \")\", \",\" or end of input")?;
    Ok(column)
}

/// The JSON key that a column without an alias is named after.
fn key(column: &SelectColumn) -> Option<&str> {
    let keys = column.field.path.iter().rev().filter(|_| column.aggregate.is_none());
    keys.map(|step| &step.key)
        .find_map(|key| if let JsonKey::Name(name) = key { Some(name.as_str()) } else { None })
}

/// PostgreSQL cuts a longer name without an error, and two of them may become one.
fn check_length(start: &Cursor<'_>, name: Option<&str>) -> Result<(), Mistake> {
    match name {
        Some(name) if name.len() > MAX_NAME_BYTES => Err(start.mistake("an alias of at most 63 bytes")),
        _ => Ok(()),
    }
}

/// `count()` or `column::cast.sum()`; a column alone is left for the caller to go on with.
pub(super) fn measure(cursor: &mut Cursor<'_>) -> Result<(Field, Option<Applied>), Mistake> {
    if cursor.eat("count()") {
        return Ok((star(), Some(Applied { function: Aggregate::Count, cast: None })));
    }
    let field = field(cursor)?;
    let mut ahead = *cursor;
    let cast = cast(&mut ahead).unwrap_or_default();
    let Some(function) = aggregate(&mut ahead) else { return Ok((field, None)) };
    *cursor = ahead;
    Ok((field, Some(Applied { function, cast })))
}

fn cast(cursor: &mut Cursor<'_>) -> Result<Option<String>, Mistake> {
    if cursor.eat("::") { type_name(cursor).map(Some) } else { Ok(None) }
}

fn aggregate(cursor: &mut Cursor<'_>) -> Option<Aggregate> {
    let words = [
        (".sum()", Aggregate::Sum),
        (".avg()", Aggregate::Avg),
        (".count()", Aggregate::Count),
        (".max()", Aggregate::Max),
        (".min()", Aggregate::Min),
    ];
    words.into_iter().find(|(word, _)| cursor.eat(word)).map(|(_, aggregate)| aggregate)
}

fn end(cursor: &Cursor<'_>, expecting: &'static str) -> Result<(), Mistake> {
    let mut ahead = *cursor;
    ahead.skip_blanks();
    let fine = ahead.is_done() || ahead.starts_with(")") || ahead.starts_with(",");
    if fine { Ok(()) } else { Err(ahead.mistake(expecting)) }
}

fn star() -> Field {
    Field { name: "*".to_owned(), path: Vec::new() }
}

fn plain(field: Field) -> SelectColumn {
    SelectColumn { field, cast: None, aggregate: None, aggregate_cast: None, alias: None }
}
