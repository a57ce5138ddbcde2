//! Functions and operators by the numbers that an expression names them with.

use std::collections::{BTreeSet, HashMap};

use super::place::places;
use crate::tree::{Node, Record};

/// The first number of what is not PostgreSQL's own (`FirstNormalObjectId`).
const FIRST_OTHER: i64 = 16_384;

/// A function.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// With its schema, unless that is `pg_catalog`.
    pub(crate) name: String,
    /// `i`, `s` or `v`.
    pub(crate) volatility: char,
    pub(crate) is_built_in: bool,
}

/// An operator.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) name: String,
    /// The function behind it.
    pub(crate) function: i64,
}

/// Those that an expression names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    functions: HashMap<i64, Function>,
    operators: HashMap<i64, Operator>,
}

impl Names {
    pub(crate) fn new(functions: HashMap<i64, Function>, operators: HashMap<i64, Operator>) -> Self {
        Self { functions, operators }
    }

    /// Numbers of the operators in an expression.
    pub(crate) fn operators_in(expression: &Node) -> BTreeSet<i64> {
        places(expression).iter().filter_map(|place| place.record.number("opno")).collect()
    }

    /// Numbers of the functions in an expression; those behind operators are named by the operators.
    pub(crate) fn functions_in(expression: &Node) -> BTreeSet<i64> {
        places(expression).iter().filter_map(|place| place.record.number("funcid")).collect()
    }

    pub(super) fn operator(&self, record: &Record) -> &str {
        let operator = record.number("opno").and_then(|oid| self.operators.get(&oid));
        operator.map_or("", |operator| operator.name.as_str())
    }

    /// The function that a call or an operator runs.
    pub(super) fn function(&self, record: &Record) -> Option<&Function> {
        let behind = |oid: i64| self.operators.get(&oid).map(|operator| operator.function);
        let oid = record.number("funcid").or_else(|| behind(record.number("opno")?))?;
        self.functions.get(&oid)
    }

    /// Whether it is a call of that function of PostgreSQL.
    pub(super) fn calls(&self, record: &Record, name: &str) -> bool {
        self.function(record).is_some_and(|function| function.is_built_in && function.name == name)
    }
}

impl Function {
    pub(crate) fn new(oid: i64, schema: &str, name: &str, volatility: char) -> Self {
        let name = if schema == "pg_catalog" { name.to_owned() } else { format!("{schema}.{name}") };
        Self { name, volatility, is_built_in: oid < FIRST_OTHER }
    }
}
