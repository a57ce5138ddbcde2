//! Rows that a proof has made or found, by relation and party, and SQL about them. Leaves making them to `row`.

use std::collections::BTreeMap;

use super::catalog::{Reference, Relation};
use super::literal::matches;
use super::model::{Declared, Scope};
use super::scene::{Party, Scene};

/// Values by column, as text.
pub(crate) type Row = BTreeMap<String, Option<String>>;

/// A column of a statement and how its value comes about, so that further rows can be written like the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filling {
    /// The candidate of that place.
    Candidate(usize),
    /// The id of whose row it is.
    Scope,
    /// From the row that the reference of that place leads to.
    Parent { reference: usize, place: usize },
}

/// How a row of a relation is written.
pub(crate) type Recipe = BTreeMap<String, Filling>;

/// What there is of one relation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) recipe: Recipe,
    /// By party; rows of nobody are everybody's.
    pub(crate) of: BTreeMap<usize, Row>,
    /// Why there is none.
    pub(crate) missing: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) rows: BTreeMap<String, Rows>,
    /// Statements that made them.
    pub(crate) made: Vec<String>,
}

impl World {
    /// What the scene consists of can be referred to.
    pub(crate) fn of(scene: &Scene) -> Self {
        let mut world = Self::default();
        for (index, party) in scene.parties.iter().enumerate() {
            let text = |value: &str| Some(value.to_owned());
            let rows: [(&str, &[(&str, &str)]); 5] = [
                ("auth.users", &[("id", &party.user), ("email", &party.email)]),
                ("auth.sessions", &[("id", &party.session), ("user_id", &party.user)]),
                ("tenancy.tenants", &[("id", &party.tenant), ("organization_id", &party.organization)]),
                ("tenancy.organizations", &[("id", &party.organization)]),
                ("tenancy.memberships", &[("tenant_id", &party.tenant), ("user_id", &party.user)]),
            ];
            for (relation, values) in rows {
                let row: Row =
                    values.iter().map(|(column, value)| ((*column).to_owned(), text(value))).collect();
                world.rows.entry(relation.to_owned()).or_default().of.insert(index, row);
            }
        }
        world
    }

    pub(crate) fn row(&self, relation: &str, party: usize) -> Option<&Row> {
        self.rows.get(relation)?.of.get(&party)
    }

    /// The value that a child of a party's row has in that place of the reference.
    pub(crate) fn parent_value(&self, reference: &Reference, place: usize, party: usize) -> Option<&str> {
        let column = reference.parent_columns.get(place)?;
        self.row(&reference.parent, party)?.get(column)?.as_deref()
    }

    /// The condition that a row is a party's.
    pub(crate) fn owned(&self, scope: &Scope, party: &Party, index: usize) -> Option<String> {
        match scope {
            Scope::Column { column, whose } => {
                Some(matches(std::iter::once((column.as_str(), Some(party.id(*whose))))))
            }
            Scope::Via(reference) => {
                let values: Vec<Option<&str>> = (0..reference.columns.len())
                    .map(|place| self.parent_value(reference, place, index))
                    .collect();
                let known = values.iter().all(Option::is_some);
                known.then(|| matches(reference.columns.iter().map(String::as_str).zip(values)))
            }
            Scope::Nobody => None,
        }
    }
}

/// The condition that picks one row: by its first key, else by all that it has.
pub(crate) fn picked(relation: &Relation, row: &Row) -> String {
    let value = |column: &str| row.get(column).and_then(Option::as_deref);
    match relation.keys.first() {
        Some(key) => matches(key.columns.iter().map(|column| (column.as_str(), value(column)))),
        None => {
            let plain =
                |column: &&super::catalog::Column| !matches!(column.base.as_str(), "json" | "xml" | "point");
            let columns = relation.columns.iter().filter(plain);
            matches(columns.map(|column| (column.name.as_str(), value(&column.name))))
        }
    }
}

/// Whether a party's rows are also another's: two tenants of one organization share what is the organization's.
pub(crate) fn is_same(declared: &Declared, one: &Party, other: &Party, all: &[(String, Declared)]) -> bool {
    match &declared.scope {
        Scope::Column { whose, .. } => one.id(*whose) == other.id(*whose),
        Scope::Via(reference) => {
            let parent = all.iter().find(|(name, _)| *name == reference.parent);
            parent.is_some_and(|(_, parent)| is_same(parent, one, other, all))
        }
        Scope::Nobody => true,
    }
}
