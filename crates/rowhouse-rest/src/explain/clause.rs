//! Parses conditions as `explain` prints them, as far as indexes are concerned.
//!
//! `explain` prints every operator with spaces around it and every operand that is not plain in parentheses, so a
//! scan that tracks quotes and parentheses is enough.

/// `column operator value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    /// The column, without its table.
    pub(super) column: String,
    /// The type that the column is cast to first.
    pub(super) cast: Option<String>,
    /// `=`, `~~`, `= ANY`…
    pub(super) operator: String,
    /// What it is compared with.
    pub(super) value: String,
}

/// The comparisons of `alias`'s columns that must all hold for `text` to hold.
pub(super) fn clauses(text: &str, alias: &str) -> Vec<Clause> {
    conjuncts(text).into_iter().filter_map(|part| clause(part, alias)).collect()
}

/// The column of `alias` that a sort key starts with.
pub(super) fn sort_column(key: &str, alias: &str) -> Option<String> {
    let end = top_level(key).find(|(_, rest)| rest.starts_with(' ')).map_or(key.len(), |(at, _)| at);
    column(&key[..end], alias)
}

fn conjuncts(text: &str) -> Vec<&str> {
    let text = bare(text);
    match top_level(text).find(|(_, rest)| rest.starts_with(" AND ")) {
        Some((at, _)) => {
            let mut found = conjuncts(&text[..at]);
            found.extend(conjuncts(&text[at + " AND ".len()..]));
            found
        }
        None => vec![text],
    }
}

fn clause(text: &str, alias: &str) -> Option<Clause> {
    let mut gaps = top_level(text).filter(|(_, rest)| rest.starts_with(' ')).map(|(at, _)| at);
    let (first, second) = (gaps.next()?, gaps.next()?);
    let (left, operator) = (&text[..first], &text[first + 1..second]);
    let is_operator = operator.chars().all(|c| "+-*/<>=~!@#%^&|`?".contains(c));
    let right = &text[second + 1..];
    // An OR, an IS or a BETWEEN is not a comparison of one column.
    if !is_operator || gaps.any(|at| text[at..].starts_with(" OR ")) {
        return None;
    }
    if let Some(any) = right.strip_prefix("ANY ") {
        let (column, cast) = operand(left, alias)?;
        return Some(Clause { column, cast, operator: format!("{operator} ANY"), value: any.to_owned() });
    }
    if let Some((column, cast)) = operand(left, alias) {
        return Some(Clause { column, cast, operator: operator.to_owned(), value: right.to_owned() });
    }
    let (column, cast) = operand(right, alias)?;
    Some(Clause { column, cast, operator: flipped(operator).to_owned(), value: left.to_owned() })
}

fn flipped(operator: &str) -> &str {
    match operator {
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        same => same,
    }
}

/// A column, or a column with a cast: `t.a`, `(t.a)::text`.
fn operand(text: &str, alias: &str) -> Option<(String, Option<String>)> {
    if let Some(column) = column(text, alias) {
        return Some((column, None));
    }
    let (inner, cast) = text.strip_prefix('(')?.rsplit_once(")::")?;
    Some((column(inner, alias)?, Some(cast.to_owned())))
}

/// `alias.column` with or without quotes.
fn column(text: &str, alias: &str) -> Option<String> {
    let dot = top_level(text).find(|(_, rest)| rest.starts_with('.')).map(|(at, _)| at)?;
    let (table, name) = (identifier(&text[..dot])?, identifier(&text[dot + 1..])?);
    (table == alias).then_some(name)
}

fn identifier(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        return Some(inner.replace("\"\"", "\""));
    }
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$');
    is_plain.then(|| text.to_owned())
}

/// Without the parentheses around the whole.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        if !is_balanced(inner) {
            break;
        }
        text = inner;
    }
    text
}

/// No parenthesis closes what was not opened.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for (_, c) in unquoted(text) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// Positions outside quotes and parentheses, each with the remaining text.
fn top_level(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut depth = 0_i32;
    unquoted(text).filter_map(move |(at, c)| {
        let before = depth;
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        (before == 0 && depth == 0).then(|| (at, &text[at..]))
    })
}

/// Characters outside `'…'` and `"…"`; a doubled quote counts as end and start, with the same result.
pub(super) fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut quote: Option<char> = None;
    text.char_indices().filter(move |(_, c)| match quote {
        Some(open) => {
            if *c == open {
                quote = None;
            }
            false
        }
        None if matches!(c, '\'' | '"') => {
            quote = Some(*c);
            false
        }
        None => true,
    })
}

#[cfg(test)]
mod tests;
