//! Whether every way in which an expression becomes true compares the row with something: all arms of an `or`, one of an `and`.

use super::Scene;
use super::place::{own_columns, places};
use crate::tree::{Node, Record};

/// What has to be compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim<'a> {
    /// Any column of the row.
    Row,
    /// One of these.
    Columns(&'a [i64]),
}

/// Which arms of an `or` are let pass beside a bound one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leniency {
    None,
    /// Those that ask something about the caller.
    Callers,
    /// Those that ask for the current role. In a view that reads with its owner's rights it is still the caller's.
    Roles,
}

/// Operators that are true of nearly every row.
const NEGATIONS: &[&str] = &["<>", "!~", "!~*", "!~~", "!~~*"];
/// `… is true`.
const IS_TRUE: i64 = 0;
/// `uuid`.
const UUID: i64 = 2950;
/// `SVFOP_CURRENT_ROLE`, `SVFOP_CURRENT_USER`, `SVFOP_USER`; then `SVFOP_SESSION_USER`.
const ROLES: std::ops::RangeInclusive<i64> = 9..=11;
const SESSION_USER: i64 = 12;
/// Functions of PostgreSQL that ask for the caller.
const ASKING: &[&str] = &["current_setting", "pg_has_role", "row_security_active"];

impl Aim<'_> {
    fn is_met(self, node: &Node) -> bool {
        let columns = own_columns(node);
        match self {
            Aim::Row => !columns.is_empty(),
            Aim::Columns(wanted) => wanted.iter().any(|column| columns.contains(column)),
        }
    }
}

impl Scene<'_> {
    pub(super) fn is_bound(&self, node: &Node, aim: Aim<'_>, leniency: Leniency) -> bool {
        let Some(record) = node.record() else { return false };
        let args = record.list("args");
        match (record.name.as_str(), record.word("boolop")) {
            ("BOOLEXPR", Some("and")) => args.iter().any(|arg| self.is_bound(arg, aim, leniency)),
            ("BOOLEXPR", Some("or")) | ("COALESCE" | "COALESCEEXPR", _) => {
                let arms: Vec<_> = args.iter().map(|arm| vec![arm]).collect();
                self.is_either_bound(&arms, aim, leniency)
            }
            ("CASE" | "CASEEXPR", _) => self.is_either_bound(&branches(record), aim, leniency),
            ("BOOLEXPR", _) => args.iter().any(|arg| self.is_denied(arg, aim)),
            ("BOOLEANTEST", _) if record.number("booltesttype") == Some(IS_TRUE) => {
                record.value("arg").is_some_and(|arg| self.is_bound(arg, aim, leniency))
            }
            ("NULLTEST" | "BOOLEANTEST" | "DISTINCTEXPR", _) => false,
            ("CONST", _) => self.constant(node) == Some(false),
            ("OPEXPR" | "SCALARARRAYOPEXPR", _) => !self.is_negation(record) && is_compared(record, aim),
            _ => aim.is_met(node),
        }
    }

    /// Each arm is true if all of its parts are.
    fn is_either_bound(&self, arms: &[Vec<&Node>], aim: Aim<'_>, leniency: Leniency) -> bool {
        let bound = |arm: &[&Node]| arm.iter().any(|part| self.is_bound(part, aim, leniency));
        let asks = |part: &Node| match leniency {
            Leniency::None => false,
            Leniency::Callers => self.asks_caller(part),
            Leniency::Roles => asks_role(part),
        };
        let passes = |arm: &[&Node]| {
            arm.iter().all(|part| own_columns(part).is_empty()) && arm.iter().any(|part| asks(part))
        };
        // An arm that is never true is bound, and no way for anybody.
        let is_never = |arm: &[&Node]| arm.iter().any(|part| self.constant(part) == Some(false));
        arms.iter().any(|arm| bound(arm) && !is_never(arm))
            && arms.iter().all(|arm| bound(arm) || passes(arm))
    }

    /// `not tenant_id <> …`, `tenant_id is not distinct from …`. What else is denied is true of nearly every row.
    fn is_denied(&self, node: &Node, aim: Aim<'_>) -> bool {
        node.record().is_some_and(|record| {
            let is_comparison =
                record.name == "DISTINCTEXPR" || (record.name == "OPEXPR" && self.is_negation(record));
            is_comparison && is_compared(record, aim)
        })
    }

    fn is_negation(&self, record: &Record) -> bool {
        NEGATIONS.contains(&self.names.operator(record))
    }

    /// Whether the result can depend on who calls.
    pub(super) fn asks_caller(&self, node: &Node) -> bool {
        places(node).into_iter().any(|place| {
            let record = place.record;
            let is_own = self.names.function(record).is_some_and(|function| !function.is_built_in);
            let asks = ASKING.iter().any(|name| self.names.calls(record, name));
            is_own || asks || is_role(record) || is_session_user(record)
        })
    }

    /// `tenant_id = '0198…'`.
    pub(super) fn has_fixed_id(&self, node: &Node) -> bool {
        places(node).into_iter().any(|place| {
            let [left, right] = place.record.list("args") else { return false };
            let is_equality = place.record.name == "OPEXPR" && self.names.operator(place.record) == "=";
            is_equality
                && place.depth == 0
                && [(left, right), (right, left)].iter().any(|(id, value)| self.is_id(id) && is_value(value))
        })
    }

    fn is_id(&self, node: &Node) -> bool {
        let Some(record) = node.record().filter(|record| record.name == "VAR") else { return false };
        let is_tenant = record.number("varattno").is_some_and(|column| self.tenant.contains(&column));
        is_tenant || record.number("vartype") == Some(UUID)
    }
}

/// Whether one side has what is wanted, and the other nothing of the row: a comparison of the row with itself binds nothing.
fn is_compared(record: &Record, aim: Aim<'_>) -> bool {
    let [left, right] = record.list("args") else {
        return record.list("args").iter().any(|arg| aim.is_met(arg));
    };
    let has_row = |node: &Node| !own_columns(node).is_empty();
    (aim.is_met(left) && !has_row(right)) || (aim.is_met(right) && !has_row(left))
}

/// `case when a then b else c end` is `a and b`, or `c`; what has no value is not true.
fn branches(record: &Record) -> Vec<Vec<&Node>> {
    let when = record.list("args").iter().filter_map(Node::record);
    let when = when.map(|when| [when.value("expr"), when.value("result")].into_iter().flatten().collect());
    let otherwise = record.value("defresult").filter(|node| node.record().is_some());
    when.chain(otherwise.map(|node| vec![node])).collect()
}

fn is_value(node: &Node) -> bool {
    node.record().is_some_and(|record| record.name == "CONST" && record.word("constisnull") == Some("false"))
}

fn asks_role(node: &Node) -> bool {
    places(node).into_iter().any(|place| is_role(place.record))
}

fn is_role(record: &Record) -> bool {
    record.name == "SQLVALUEFUNCTION" && record.number("op").is_some_and(|op| ROLES.contains(&op))
}

fn is_session_user(record: &Record) -> bool {
    record.name == "SQLVALUEFUNCTION" && record.number("op") == Some(SESSION_USER)
}
