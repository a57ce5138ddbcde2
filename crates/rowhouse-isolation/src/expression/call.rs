//! Which functions an expression calls, and how: for each row or once, with which arguments.

use std::collections::BTreeSet;

use super::Scene;
use super::place::{own_columns, places};
use crate::tree::{Node, Record};

/// Parts of a token, and a column, that users change themselves.
const EDITABLE: &[&[u8]] = &[b"user_metadata", b"raw_user_meta_data"];
/// `email` as a claim: the value of a `text` behind its length.
const EMAIL: &[u8] = b"email";
const LENGTH_BYTES: usize = 4;
const EMAIL_HELPER: &str = "auth.email";
const SETTING: &str = "current_setting";
/// `text`, and `varchar`: an empty text can be cast to them.
const TEXTS: &[i64] = &[25, 1043];

impl Scene<'_> {
    /// Calls outside subqueries whose arguments name no column: `(select …)` around them would have them run once.
    pub(super) fn per_row(&self, expression: &Node) -> BTreeSet<String> {
        let calls = places(expression).into_iter().filter(|place| {
            let row = place.record.list("args").iter().any(|arg| !own_columns(arg).is_empty());
            place.record.name == "FUNCEXPR" && !place.in_subquery && !row
        });
        let functions = calls.filter_map(|place| self.names.function(place.record)).filter(|function| {
            function.volatility != 'i' && (!function.is_built_in || function.name == SETTING)
        });
        functions.map(|function| function.name.clone()).collect()
    }

    /// Volatile functions of the project outside subqueries: PostgreSQL runs them for each row, and they may write.
    pub(super) fn volatile(&self, expression: &Node) -> BTreeSet<String> {
        let outside = places(expression).into_iter().filter(|place| !place.in_subquery);
        let functions = outside.filter_map(|place| self.names.function(place.record));
        let volatile = functions.filter(|function| function.volatility == 'v' && !function.is_built_in);
        volatile.map(|function| function.name.clone()).collect()
    }

    /// `current_setting` without `true` as its second argument.
    pub(super) fn has_strict_setting(&self, expression: &Node) -> bool {
        let calls = places(expression).into_iter().filter(|place| self.names.calls(place.record, SETTING));
        calls.into_iter().any(|call| match call.record.list("args") {
            [_, missing_ok] => self.constant(missing_ok) == Some(false),
            _ => true,
        })
    }

    /// `current_setting(…)::uuid` without `nullif(…, '')` between.
    pub(super) fn has_bare_cast(&self, expression: &Node) -> bool {
        places(expression).into_iter().any(|place| {
            let is_cast = place.record.name == "COERCEVIAIO";
            let to_text = place.record.number("resulttype").is_some_and(|kind| TEXTS.contains(&kind));
            is_cast && !to_text && place.record.value("arg").is_some_and(|arg| self.is_setting(arg))
        })
    }

    /// `auth.email()`, `auth.jwt() ->> 'email'`.
    pub(super) fn has_email(&self, expression: &Node) -> bool {
        places(expression).into_iter().any(|place| {
            let bytes =
                if place.record.name == "CONST" { place.record.bytes("constvalue") } else { Vec::new() };
            let helper =
                self.names.function(place.record).is_some_and(|function| function.name == EMAIL_HELPER);
            helper || bytes.get(LENGTH_BYTES..).is_some_and(|value| value == EMAIL)
        })
    }

    fn is_setting(&self, node: &Node) -> bool {
        let Some(record) = node.record() else { return false };
        match record.name.as_str() {
            "RELABELTYPE" => record.value("arg").is_some_and(|arg| self.is_setting(arg)),
            _ => self.names.calls(record, SETTING),
        }
    }
}

/// Whether a constant names a part of the token that users write themselves.
pub(super) fn has_editable_claims(expression: &Node) -> bool {
    places(expression).into_iter().any(|place| is_editable(place.record))
}

fn is_editable(record: &Record) -> bool {
    let bytes = if record.name == "CONST" { record.bytes("constvalue") } else { Vec::new() };
    EDITABLE.iter().any(|name| bytes.windows(name.len()).any(|window| window == *name))
}
