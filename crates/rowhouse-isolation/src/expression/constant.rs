//! Whether an expression has the same value for every row and caller.

use std::cmp::Ordering;

use super::Scene;
use super::place::{own_columns, places};
use crate::tree::{Node, Record};

/// `bool`, and types whose constants are numbers: `int8`, `int2`, `int4`.
const BOOL: i64 = 16;
const NUMBERS: &[i64] = &[20, 21, 23];
/// Types whose equal values have equal bytes: `text`, `uuid`.
const PLAIN: &[i64] = &[25, 2950];
/// `EXPR_SUBLINK`: `(select …)` as a value.
const VALUE: i64 = 4;
/// `IS_NOT_NULL`.
const IS_NOT_NULL: i64 = 1;

impl Scene<'_> {
    /// Its value. What is made of constants alone and cannot be computed here counts as true, unless it is negated: nobody
    /// writes a constant that is meant to be false.
    pub(super) fn constant(&self, expression: &Node) -> Option<bool> {
        self.fold(expression, true)
    }

    fn fold(&self, node: &Node, guess: bool) -> Option<bool> {
        let record = node.record()?;
        let args = record.list("args");
        let values = || args.iter().map(|arg| self.fold(arg, guess));
        match (record.name.as_str(), record.word("boolop")) {
            ("CONST", _) => is_type(record, BOOL).then(|| truth(record)),
            ("BOOLEXPR", Some("and")) => all(values(), true),
            ("BOOLEXPR", Some("or")) => all(values(), false),
            ("BOOLEXPR", _) => self.fold(args.first()?, false).map(|value| !value),
            ("NULLTEST", _) => self.null_test(record),
            ("SUBLINK", _) => self.fold(bare_select(record)?, guess),
            ("OPEXPR", _) => self.comparison(record).or_else(|| self.guess(node, guess)),
            _ => self.guess(node, guess),
        }
    }

    /// `id is not null` of a column that cannot be null.
    fn null_test(&self, record: &Record) -> Option<bool> {
        let columns = own_columns(record.value("arg")?);
        let is_column = record.value("arg")?.record()?.name == "VAR";
        let never_null = is_column && columns.iter().all(|column| self.not_null.contains(column));
        never_null.then(|| record.number("nulltesttype") == Some(IS_NOT_NULL))
    }

    /// `tenant_id = tenant_id`, `1 < 2`.
    fn comparison(&self, record: &Record) -> Option<bool> {
        let [left, right] = record.list("args") else { return None };
        let order = if left == right && !self.is_volatile(left) {
            Ordering::Equal
        } else {
            order(left.record()?, right.record()?)?
        };
        match self.names.operator(record) {
            "=" => Some(order == Ordering::Equal),
            "<>" => Some(order != Ordering::Equal),
            "<" => Some(order == Ordering::Less),
            "<=" => Some(order != Ordering::Greater),
            ">" => Some(order == Ordering::Greater),
            ">=" => Some(order != Ordering::Less),
            _ => None,
        }
    }

    fn is_volatile(&self, node: &Node) -> bool {
        let functions = places(node).into_iter().filter_map(|place| self.names.function(place.record));
        functions.into_iter().any(|function| function.volatility == 'v')
    }

    fn guess(&self, node: &Node, guess: bool) -> Option<bool> {
        let depends = |record: &Record| {
            let is_variable =
                matches!(record.name.as_str(), "VAR" | "PARAM" | "SUBLINK" | "SQLVALUEFUNCTION");
            let function = self.names.function(record);
            is_variable || function.is_some_and(|function| function.volatility != 'i')
        };
        (guess && !places(node).iter().any(|place| depends(place.record))).then_some(true)
    }
}

/// The value of `and` (neutral: true) or `or` (neutral: false).
fn all(values: impl Iterator<Item = Option<bool>>, neutral: bool) -> Option<bool> {
    let values: Vec<_> = values.collect();
    if values.contains(&Some(!neutral)) {
        return Some(!neutral);
    }
    values.iter().all(Option::is_some).then_some(neutral)
}

/// The expression of `(select …)` that reads nothing.
fn bare_select(record: &Record) -> Option<&Node> {
    let query = record.value("subselect")?.record()?;
    let reads = !query.list("rtable").is_empty() || record.number("subLinkType") != Some(VALUE);
    let [target] = query.list("targetList") else { return None };
    if reads { None } else { target.record()?.value("expr") }
}

fn is_type(record: &Record, oid: i64) -> bool {
    record.number("consttype") == Some(oid)
}

/// A null is not true, so it lets nothing through.
fn truth(record: &Record) -> bool {
    record.word("constisnull") != Some("true") && record.bytes("constvalue").first() == Some(&1)
}

fn order(left: &Record, right: &Record) -> Option<Ordering> {
    let kind = left.number("consttype")?;
    let known = [left, right]
        .iter()
        .all(|side| side.name == "CONST" && is_type(side, kind) && side.word("constisnull") == Some("false"));
    if !known {
        return None;
    }
    let (left, right) = (left.bytes("constvalue"), right.bytes("constvalue"));
    let number = |bytes: Vec<u8>| Some(i64::from_le_bytes(bytes.try_into().ok()?));
    match kind {
        BOOL => Some(left.cmp(&right)),
        kind if NUMBERS.contains(&kind) => Some(number(left)?.cmp(&number(right)?)),
        // Which of two texts is the lesser one depends on the collation.
        kind if PLAIN.contains(&kind) && left == right => Some(Ordering::Equal),
        _ => None,
    }
}
