//! Finds calls in policies that PostgreSQL makes for every row although their result is constant.
//!
//! `(select auth.uid())` becomes an InitPlan: one call per statement. Bare, the call is part of the filter.

use super::clause::unquoted;

/// Schemas whose functions describe the caller.
const SCHEMAS: [&str; 2] = ["auth.", "tenancy."];

/// The expression with each such call wrapped, and the calls; `None` if there is nothing to wrap.
pub(super) fn wrapped(expression: &str) -> Option<(String, Vec<String>)> {
    let calls = bare_calls(expression);
    if calls.is_empty() {
        return None;
    }
    let (mut text, mut last) = (String::with_capacity(expression.len() + 16), 0);
    for &(start, end) in &calls {
        text.push_str(&expression[last..start]);
        text.push_str("(select ");
        text.push_str(&expression[start..end]);
        text.push(')');
        last = end;
    }
    text.push_str(&expression[last..]);
    let mut names: Vec<String> =
        calls.iter().map(|&(start, end)| expression[start..end].to_owned()).collect();
    names.dedup();
    Some((text, names))
}

/// True when a plan's condition makes such a call; functions in SQL are shown as what they consist of.
pub(super) fn calls_per_row(condition: &str) -> bool {
    !bare_calls(condition).is_empty()
}

/// Ranges of such calls, from the name to the closing parenthesis.
fn bare_calls(text: &str) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    // For each open parenthesis, whether it contains a scalar subquery without tables.
    let mut open: Vec<bool> = Vec::new();
    let code: Vec<(usize, char)> = unquoted(text).collect();
    for &(at, c) in &code {
        match c {
            '(' => {
                let inside = found.last().is_some_and(|&(_, end)| at < end);
                if let (false, Some(start)) = (inside, call_before(text, at))
                    && let Some(end) = closing(&code, at)
                    && !open.last().copied().unwrap_or(false)
                    && is_constant(&text[at + 1..end - 1])
                {
                    found.push((start, end));
                }
                let is_wrap = is_scalar(text, &code, at);
                let is_query = starts_query(&text[at + 1..]);
                open.push(if is_query { is_wrap } else { open.last().copied().unwrap_or(false) });
            }
            ')' => drop(open.pop()),
            _ => {}
        }
    }
    found
}

/// Where the name of a function of interest starts that ends right before the parenthesis at `at`.
fn call_before(text: &str, at: usize) -> Option<usize> {
    let before = &text[..at];
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let start = before.rfind(|c| !is_part(c)).map_or(0, |last| last + 1);
    let name = &before[start..];
    let known = SCHEMAS.iter().any(|schema| name.starts_with(schema)) || name == "current_setting";
    (known && !name.ends_with('.')).then_some(start)
}

fn closing(code: &[(usize, char)], open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for &(at, c) in code.iter().skip_while(|(at, _)| *at < open) {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

fn starts_query(text: &str) -> bool {
    text.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("select "))
}

/// `(select …)` that reads no table, so that it is run once.
fn is_scalar(text: &str, code: &[(usize, char)], open: usize) -> bool {
    let Some(end) = closing(code, open) else { return false };
    let inner = &text[open + 1..end - 1];
    starts_query(inner) && !inner.to_ascii_lowercase().split_whitespace().any(|word| word == "from")
}

/// Arguments that do not depend on the row: literals, casts, other calls.
fn is_constant(arguments: &str) -> bool {
    let mut word = String::new();
    let mut after_cast = false;
    let code: Vec<(usize, char)> = unquoted(arguments).collect();
    for (place, &(at, c)) in code.iter().enumerate() {
        if c.is_alphanumeric() || c == '_' || c == '.' {
            word.push(c);
            let next = code.get(place + 1).filter(|(next, _)| *next == at + c.len_utf8()).map(|(_, c)| *c);
            let ends = !next.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
            if ends {
                let is_literal = word.starts_with(|c: char| c.is_ascii_digit())
                    || matches!(word.to_ascii_lowercase().as_str(), "true" | "false" | "null");
                if !is_literal && !after_cast && next != Some('(') {
                    return false;
                }
                word.clear();
                after_cast = false;
            }
        } else if c == ':' {
            after_cast = true;
        }
    }
    // A quoted identifier is a column.
    !arguments.contains('"')
}

#[cfg(test)]
mod tests;
