//! What a policy's expression says, by its parsed form. Leaves reading it from the catalog to `policy`, and what follows for a
//! table to the checks.

mod bound;
mod call;
mod constant;
mod name;
mod place;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::tree::Node;
use bound::{Aim, Leniency};
pub(crate) use name::{Function, Names, Operator};
use place::{own_columns, places};

/// What the expression belongs to.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) names: &'a Names,
    /// Numbers of the columns that name the tenant.
    pub(crate) tenant: &'a [i64],
    /// Numbers of the columns that cannot be null.
    pub(crate) not_null: &'a [i64],
}

/// What the checks ask of an expression.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Facts {
    /// True or false for every row and caller; null if it depends on something.
    pub(crate) constant: Option<bool>,
    /// Whether any column of the row is named.
    pub(crate) names_row: bool,
    /// Whether every way to true compares something of the row.
    pub(crate) row_bound: bool,
    /// The same, but for ways that a function or setting opens to a caller in addition to a bound one.
    pub(crate) row_lenient: bool,
    /// Whether every way to true compares the row's tenant.
    pub(crate) tenant_bound: bool,
    /// The same, but for ways that are open to certain callers.
    pub(crate) tenant_lenient: bool,
    /// Whether every way to true compares the row's tenant or asks for the name of the current role.
    pub(crate) owner_bound: bool,
    /// Whether the result can depend on who calls.
    pub(crate) asks_caller: bool,
    /// Relations that are read in subqueries.
    pub(crate) reads: BTreeSet<i64>,
    /// Functions that are called for each row and could be called once.
    pub(crate) per_row: BTreeSet<String>,
    /// Volatile functions.
    pub(crate) volatile: BTreeSet<String>,
    /// Whether `current_setting` fails where the setting does not exist.
    pub(crate) strict_setting: bool,
    /// Whether a setting is cast although it may be the empty text.
    pub(crate) bare_cast: bool,
    /// Whether claims are read that users write themselves.
    pub(crate) editable_claims: bool,
    /// Whether the caller's address is read.
    pub(crate) email: bool,
    /// Whether the row is compared with an id that is written there.
    pub(crate) fixed_id: bool,
}

impl Scene<'_> {
    pub(crate) fn judge(&self, expression: &Node) -> Facts {
        let own = Aim::Row;
        let tenant = Aim::Columns(self.tenant);
        Facts {
            constant: self.constant(expression),
            names_row: !own_columns(expression).is_empty(),
            row_bound: self.is_bound(expression, own, Leniency::None),
            row_lenient: self.is_bound(expression, own, Leniency::Callers),
            tenant_bound: self.is_bound(expression, tenant, Leniency::None),
            tenant_lenient: self.is_bound(expression, tenant, Leniency::Callers),
            owner_bound: self.is_bound(expression, tenant, Leniency::Roles),
            asks_caller: self.asks_caller(expression),
            reads: places(expression)
                .iter()
                .filter_map(|place| place.record.number("relid"))
                .filter(|oid| *oid > 0)
                .collect(),
            per_row: self.per_row(expression),
            volatile: self.volatile(expression),
            strict_setting: self.has_strict_setting(expression),
            bare_cast: self.has_bare_cast(expression),
            editable_claims: call::has_editable_claims(expression),
            email: self.has_email(expression),
            fixed_id: self.has_fixed_id(expression),
        }
    }
}

#[cfg(test)]
mod tests;
