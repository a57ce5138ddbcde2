//! Names of columns and relations, JSON paths, quoted values: the small parts that all parameters share.

use super::cursor::{Cursor, Mistake};
use crate::request::{Field, JsonKey, JsonStep};

const NAME: &str = "field name (* or [a..z0..9_$])";
const KEY: &str = "\"-\", digit or any non reserved character different from: .,>()";
const PATH_END: [&str; 5] = ["->", "::", ".", ",", ")"];

/// A name: quoted text, or letters, digits, `_`, `$`, spaces and single dashes inside.
pub(super) fn name(cursor: &mut Cursor<'_>) -> Result<String, Mistake> {
    if cursor.starts_with("\"") { quoted(cursor) } else { dashed(cursor, is_name_char, NAME) }
}

/// The name of a type, as in casts. Narrower than a column's, because it goes into SQL unquoted.
pub(super) fn type_name(cursor: &mut Cursor<'_>) -> Result<String, Mistake> {
    let start = *cursor;
    let taken =
        cursor.take_while(|c| c.is_alphabetic() || c.is_ascii_digit() || matches!(c, '_' | ' ' | '$')).trim();
    if taken.is_empty() { Err(start.mistake("letter or digit")) } else { Ok(taken.to_owned()) }
}

/// Names separated by commas.
pub(super) fn names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Mistake> {
    let mut found = vec![name(cursor)?];
    while cursor.eat_lexeme(",") {
        found.push(name(cursor)?);
    }
    cursor.expect_end()?;
    Ok(found)
}

/// Names separated by dots, then a JSON path on the last: (path of embeds, field).
pub(super) fn tree_path(cursor: &mut Cursor<'_>) -> Result<(Vec<String>, Field), Mistake> {
    let mut way = Vec::new();
    let mut last = name(cursor)?;
    while cursor.eat(".") {
        way.push(std::mem::replace(&mut last, name(cursor)?));
    }
    let path = json_path(cursor)?;
    cursor.expect_end()?;
    Ok((way, Field { name: last, path }))
}

/// A column with an optional JSON path and blanks around it.
pub(super) fn field(cursor: &mut Cursor<'_>) -> Result<Field, Mistake> {
    cursor.skip_blanks();
    let name = name(cursor)?;
    let path = json_path(cursor)?;
    cursor.skip_blanks();
    Ok(Field { name, path })
}

fn json_path(cursor: &mut Cursor<'_>) -> Result<Vec<JsonStep>, Mistake> {
    let mut path = Vec::new();
    while cursor.eat("->") {
        let as_text = cursor.eat(">");
        path.push(JsonStep { as_text, key: json_key(cursor)? });
    }
    Ok(path)
}

fn json_key(cursor: &mut Cursor<'_>) -> Result<JsonKey, Mistake> {
    let mut ahead = *cursor;
    let sign = if ahead.eat("-") { "-" } else { "" };
    let digits = ahead.take_while(|c| c.is_ascii_digit());
    let ends = ahead.is_done() || PATH_END.iter().any(|end| ahead.starts_with(end));
    if !digits.is_empty() && ends {
        *cursor = ahead;
        return Ok(JsonKey::Index(format!("{sign}{digits}")));
    }
    if !sign.is_empty() {
        return Err(ahead.mistake("digit"));
    }
    if cursor.starts_with("\"") {
        return quoted(cursor).map(JsonKey::Name);
    }
    let is_key_char = |c| !matches!(c, '(' | '-' | ':' | '.' | ',' | '>' | ')');
    dashed(cursor, is_key_char, KEY).map(JsonKey::Name)
}

/// A string in double quotes; a backslash escapes the next character.
pub(super) fn quoted(cursor: &mut Cursor<'_>) -> Result<String, Mistake> {
    cursor.expect("\"", "\"\\\"\"")?;
    let mut text = String::new();
    loop {
        text.push_str(cursor.take_while(|c| c != '"' && c != '\\'));
        if cursor.eat("\"") {
            return Ok(text);
        }
        cursor.expect("\\", "end of quoted value")?;
        let Some(escaped) = cursor.peek() else { return Err(cursor.mistake("any character")) };
        text.push(escaped);
        cursor.eat(escaped.encode_utf8(&mut [0; 4]));
    }
}

/// Runs of characters joined by dashes that do not begin an arrow; each run is trimmed.
fn dashed(
    cursor: &mut Cursor<'_>,
    wanted: impl Fn(char) -> bool + Copy,
    expecting: &'static str,
) -> Result<String, Mistake> {
    let mut text = String::new();
    loop {
        let start = *cursor;
        let run = cursor.take_while(wanted);
        if run.is_empty() {
            return Err(start.mistake(expecting));
        }
        text.push_str(run.trim());
        if !cursor.starts_with("-") || cursor.starts_with("->") {
            return Ok(text);
        }
        cursor.eat("-");
        text.push('-');
    }
}

fn is_name_char(character: char) -> bool {
    character.is_alphanumeric()
        || matches!(character, '_' | ' ' | '$')
        || (!character.is_ascii() && !character.is_whitespace() && !character.is_control())
}
