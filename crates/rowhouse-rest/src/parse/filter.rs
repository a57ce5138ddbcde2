//! `not.operator.value`, alone in a parameter or inside a logic tree.

use super::cursor::{Cursor, Mistake};
use super::name::{quoted, type_name};
use crate::request::{Compare, IsValue, Operation, Quantifier, Search};

const OPERATOR: &str = "\"not\" or operator (eq, gt, ...)";
const OPERATOR_AFTER_NOT: &str = "operator (eq, gt, ...)";

/// The context of a filter, which decides where its value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The value is the rest of the parameter.
    Parameter,
    /// The value ends at a comma or closing bracket, unless quoted.
    Tree,
}

/// An operator with its value: (negated, operation). `None` if there is no operator.
pub(super) fn operation(cursor: &mut Cursor<'_>, place: Place) -> Result<Option<(bool, Operation)>, Mistake> {
    let negated = cursor.eat("not.");
    let mut ahead = *cursor;
    let word = ahead.take_while(|c| c.is_ascii_lowercase());
    let Some(operator) = Operator::from_word(word) else {
        return if negated { Err(cursor.mistake(OPERATOR_AFTER_NOT)) } else { Ok(None) };
    };
    let bracket = operator.bracket(&mut ahead)?;
    if !ahead.eat(".") {
        // A word such as "isabel" or "eq" alone is not an operator; "eq(some)" is a malformed one.
        let broken = negated || ahead.starts_with("(");
        return if broken { Err(cursor.mistake(OPERATOR_AFTER_NOT)) } else { Ok(None) };
    }
    *cursor = ahead;
    operator.value(cursor, bracket, place).map(|operation| Some((negated, operation)))
}

/// As [`operation`], where an operator is required.
pub(super) fn required(cursor: &mut Cursor<'_>, place: Place) -> Result<(bool, Operation), Mistake> {
    operation(cursor, place)?.ok_or_else(|| cursor.mistake(OPERATOR))
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    Compare(Compare),
    In,
    Is,
    IsDistinct,
    Search(Search),
}

#[derive(Debug, Default)]
struct Bracket {
    quantifier: Option<Quantifier>,
    config: Option<String>,
}

impl Operator {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Compare(Compare::Eq),
            "gte" => Self::Compare(Compare::Gte),
            "gt" => Self::Compare(Compare::Gt),
            "lte" => Self::Compare(Compare::Lte),
            "lt" => Self::Compare(Compare::Lt),
            "like" => Self::Compare(Compare::Like),
            "ilike" => Self::Compare(Compare::Ilike),
            "match" => Self::Compare(Compare::Match),
            "imatch" => Self::Compare(Compare::Imatch),
            "neq" => Self::Compare(Compare::Neq),
            "cs" => Self::Compare(Compare::Contains),
            "cd" => Self::Compare(Compare::Contained),
            "ov" => Self::Compare(Compare::Overlaps),
            "sl" => Self::Compare(Compare::StrictlyLeft),
            "sr" => Self::Compare(Compare::StrictlyRight),
            "nxr" => Self::Compare(Compare::NotExtendsRight),
            "nxl" => Self::Compare(Compare::NotExtendsLeft),
            "adj" => Self::Compare(Compare::Adjacent),
            "in" => Self::In,
            "is" => Self::Is,
            "isdistinct" => Self::IsDistinct,
            "fts" => Self::Search(Search::Raw),
            "plfts" => Self::Search(Search::Plain),
            "phfts" => Self::Search(Search::Phrase),
            "wfts" => Self::Search(Search::Web),
            _ => return None,
        })
    }

    /// `(any)`, `(all)` or a text search configuration, where the operator takes one.
    fn bracket(self, cursor: &mut Cursor<'_>) -> Result<Bracket, Mistake> {
        let mut bracket = Bracket::default();
        match self {
            Self::Compare(operator) if is_quantifiable(operator) => {
                if cursor.eat("(any)") {
                    bracket.quantifier = Some(Quantifier::Any);
                } else if cursor.eat("(all)") {
                    bracket.quantifier = Some(Quantifier::All);
                }
            }
            Self::Search(_) if cursor.eat("(") => {
                bracket.config = Some(type_name(cursor)?);
                cursor.expect(")", "\")\"")?;
            }
            _ => {}
        }
        Ok(bracket)
    }

    fn value(self, cursor: &mut Cursor<'_>, bracket: Bracket, place: Place) -> Result<Operation, Mistake> {
        Ok(match self {
            Self::Compare(operator) => {
                Operation::Compare { operator, quantifier: bracket.quantifier, value: single(cursor, place) }
            }
            Self::In => Operation::In(list(cursor, place)?),
            Self::Is => Operation::Is(is_value(cursor, place)?),
            Self::IsDistinct => Operation::IsDistinct(single(cursor, place)),
            Self::Search(kind) => {
                Operation::Search { kind, config: bracket.config, value: single(cursor, place) }
            }
        })
    }
}

fn is_quantifiable(operator: Compare) -> bool {
    use Compare::{Eq, Gt, Gte, Ilike, Imatch, Like, Lt, Lte, Match};
    matches!(operator, Eq | Gte | Gt | Lte | Lt | Like | Ilike | Match | Imatch)
}

fn single(cursor: &mut Cursor<'_>, place: Place) -> String {
    if place == Place::Parameter {
        return cursor.take_rest().to_owned();
    }
    if let Some(value) = quoted_element(cursor) {
        return value;
    }
    let mut ahead = *cursor;
    if ahead.eat("{") {
        let inside = ahead.take_while(|c| c != '{' && c != '}');
        if ahead.eat("}") {
            *cursor = ahead;
            return format!("{{{inside}}}");
        }
    }
    cursor.take_while(|c| c != ',' && c != ')').to_owned()
}

/// `(a,"b, c",d)`; `()` is the empty list, `("")` the empty string.
fn list(cursor: &mut Cursor<'_>, place: Place) -> Result<Vec<String>, Mistake> {
    cursor.expect_lexeme("(", "\"(\"")?;
    let values = if cursor.starts_with(")") { Vec::new() } else { elements(cursor) };
    cursor.expect_lexeme(")", "\",\" or \")\"")?;
    if place == Place::Parameter {
        cursor.expect_end()?;
    }
    Ok(values)
}

fn elements(cursor: &mut Cursor<'_>) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        values.push(match quoted_element(cursor) {
            Some(value) => value,
            None => cursor.take_while(|c| c != ',' && c != ')').to_owned(),
        });
        if !cursor.eat(",") {
            return values;
        }
    }
}

/// A quoted value that reaches up to a comma, a closing bracket or the end; otherwise its quotes are plain characters.
fn quoted_element(cursor: &mut Cursor<'_>) -> Option<String> {
    if !cursor.starts_with("\"") {
        return None;
    }
    let mut ahead = *cursor;
    let value = quoted(&mut ahead).ok()?;
    if !matches!(ahead.peek(), None | Some(',' | ')')) {
        return None;
    }
    *cursor = ahead;
    Some(value)
}

fn is_value(cursor: &mut Cursor<'_>, place: Place) -> Result<IsValue, Mistake> {
    let start = *cursor;
    let wrong = || start.mistake("isVal: (null, not_null, true, false, unknown)");
    let word = cursor.take_while(|c| c.is_ascii_alphabetic() || c == '_').to_ascii_lowercase();
    let ends = match place {
        Place::Parameter => cursor.is_done(),
        Place::Tree => matches!(cursor.peek(), None | Some(',' | ')' | ' ' | '\t')),
    };
    let value = match word.as_str() {
        "null" => IsValue::Null,
        "not_null" => IsValue::NotNull,
        "true" => IsValue::True,
        "false" => IsValue::False,
        "unknown" => IsValue::Unknown,
        _ => return Err(wrong()),
    };
    if ends { Ok(value) } else { Err(wrong()) }
}
