//! The statements that are tried on a relation. Leaves running them to `run` and judging to `judge`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::catalog::{Column, Key, Reference, Relation, Rights};
use super::cell::Cell;
use super::insert::{insert, insert_with_identity};
use super::literal::literal;
use super::model::{Declared, Scope};
use super::row::Maker;
use super::scene::{Actor, OWNER, SELF};
use super::world::{Row, picked};
use crate::settings::Reach;

/// One statement of one caller.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Probe {
    pub(crate) actor: usize,
    pub(crate) sql: String,
    /// Whether the first value of its first row is wanted rather than the number of rows.
    pub(crate) reads: bool,
    /// Run before as whoever proves.
    pub(crate) prepare: Option<String>,
    /// Run afterwards as whoever proves.
    pub(crate) look: Option<String>,
    #[serde(skip)]
    pub(crate) cell: Cell,
    /// Rows that are the caller's own: more are others'.
    #[serde(skip)]
    pub(crate) most: i64,
}

/// Everything that statements about a relation are made of.
pub(crate) struct Target<'a> {
    pub(crate) maker: Maker<'a>,
    pub(crate) recipe: &'a super::world::Recipe,
    /// The row that is attacked.
    pub(crate) row: &'a Row,
    /// How many rows each caller has, by place.
    pub(crate) owned: &'a BTreeMap<usize, i64>,
    /// Deletes what refers to the relation's rows, so that a delete fails at nothing else.
    pub(crate) clearing: Option<String>,
    /// References to relations whose rows are somebody's.
    pub(crate) private: Vec<&'a Reference>,
}

impl Target<'_> {
    pub(crate) fn relation(&self) -> &Relation {
        self.maker.relation
    }

    fn declared(&self) -> &Declared {
        self.maker.declared
    }

    /// All probes of a caller.
    pub(crate) fn probes(&self, index: usize, actor: &Actor) -> Vec<Probe> {
        let wanted = Cell::ALL.into_iter().filter(|cell| self.is_of_interest(*cell, index, actor));
        wanted.flat_map(|cell| self.probe(cell, index, actor)).collect()
    }

    fn is_of_interest(&self, cell: Cell, index: usize, actor: &Actor) -> bool {
        let is_open = self.is_open(actor);
        let is_private = self.declared().scope != Scope::Nobody;
        match cell {
            Cell::Select => index == SELF || !is_open,
            Cell::SelectAny => {
                index != SELF && !is_open && matches!(self.declared().scope, Scope::Column { .. })
            }
            Cell::InsertNobody => actor.is_live && self.has_nullable_scope(),
            Cell::SideEffect => index == SELF && is_private,
            Cell::Move | Cell::Refer => is_private && actor.party.is_some(),
            Cell::Echo | Cell::Call | Cell::Bleed => false,
            other => other.in_sql() == other,
        }
    }

    /// Whether a caller may read rows of others.
    pub(crate) fn is_open(&self, actor: &Actor) -> bool {
        match self.declared().read {
            Reach::Own => false,
            Reach::SignedIn => actor.user.is_some() && actor.is_live,
            Reach::Everyone => true,
        }
    }

    fn has_nullable_scope(&self) -> bool {
        let Scope::Column { column, .. } = &self.declared().scope else { return false };
        self.relation().column(column).is_some_and(|column| column.is_nullable) && self.relation().is_table()
    }

    fn probe(&self, cell: Cell, index: usize, actor: &Actor) -> Vec<Probe> {
        let rights = self.relation().rights(&actor.role);
        let name = &self.relation().name;
        let picked = picked(self.relation(), self.row);
        let mine = self.owned.get(&index).copied().unwrap_or_default();
        let one = |sql: String| {
            vec![Probe { actor: index, sql, reads: false, prepare: None, look: None, cell, most: 0 }]
        };
        let touched = || self.touch(&rights);
        match cell {
            Cell::Select => one(format!("select 1 from {name} where {picked}")),
            Cell::SelectAny => one(format!("select 1 from {name} where {} limit 1", self.not_own(actor))),
            Cell::Insert | Cell::InsertNobody | Cell::SideEffect => {
                self.inserted(cell, index, &rights).map(one).unwrap_or_default()
            }
            Cell::Update => touched()
                .map(|set| one(format!("update {name} set {set} where {picked}")))
                .unwrap_or_default(),
            Cell::UpdateAll => touched()
                .map(|set| most(one(format!("update {name} set {set}")), mine, index))
                .unwrap_or_default(),
            Cell::Move => self.moved(actor, &rights).map(one).unwrap_or_default(),
            Cell::Delete => self.cleared(one(format!("delete from {name} where {picked}"))),
            Cell::DeleteAll => most(self.cleared(one(format!("delete from {name}"))), mine, index),
            Cell::Upsert => self.upserted(actor, &rights).map(one).unwrap_or_default(),
            Cell::Merge => touched()
                .filter(|_| self.relation().is_table())
                .map(|set| one(merge(name, &picked, &set)))
                .unwrap_or_default(),
            Cell::Refer => {
                let tried = |reference: &&Reference| {
                    let row = self.referring(reference, actor, &rights);
                    row.map(|row| one(insert(name, &row))).unwrap_or_default()
                };
                // In a tree the row is the one that is referred to.
                let (tree, others) = self.references();
                let others = self.without_row(others.iter().flat_map(tried).collect());
                others.into_iter().chain(tree.iter().flat_map(tried)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn not_own(&self, actor: &Actor) -> String {
        let Scope::Column { column, whose } = &self.declared().scope else { return "false".to_owned() };
        let own =
            actor.party.filter(|_| actor.is_live).map(|party| self.maker.scene.parties[party].id(*whose));
        // Somebody without tenant is still a user.
        let user =
            actor.user.as_deref().filter(|_| *whose == crate::settings::WhoseRow::User && actor.is_live);
        own.or(user)
            .map_or("true".to_owned(), |id| format!("{column} is distinct from {}", literal(Some(id))))
    }

    fn touch(&self, rights: &Rights) -> Option<String> {
        let (column, value) = self.touched(rights)?;
        Some(format!("{} = {}", column.name, literal(value)))
    }

    /// A column to set to the value that it has, chosen so that no constraint stands in the way.
    pub(crate) fn touched(&self, rights: &Rights) -> Option<(&Column, Option<&str>)> {
        let scope = self.declared().scope.columns();
        let relation = self.relation();
        let in_key = |column: &&Column| relation.keys.iter().any(|key| key.columns.contains(&column.name));
        let in_reference =
            |column: &&Column| relation.references.iter().any(|one| one.columns.contains(&column.name));
        let may = |column: &&Column| {
            !column.is_fixed
                && !scope.contains(&column.name.as_str())
                && (rights.update.is_empty() || rights.update.contains(&column.name))
        };
        let free =
            relation.columns.iter().filter(may).find(|column| !in_key(column) && !in_reference(column));
        let any = || relation.columns.iter().filter(may).find(|column| !in_key(column));
        let last = || relation.columns.iter().find(may);
        let column = free.or_else(any).or_else(last)?;
        Some((column, self.row.get(&column.name)?.as_deref()))
    }

    /// Only columns that the role may give: otherwise the grant refuses, and the policy is not asked.
    fn given(&self, mut row: Row, rights: &Rights) -> Option<Row> {
        if !rights.insert.is_empty() {
            row.retain(|name, _| rights.insert.contains(name));
        }
        (!self.recipe.is_empty() || self.relation().columns.is_empty()).then_some(row)
    }

    fn has_scope(&self, names: &[String]) -> bool {
        names.is_empty()
            || self.declared().scope.columns().iter().all(|column| names.iter().any(|name| name == column))
    }

    /// Another row of the owner's; none where the caller may not say whose it is.
    pub(crate) fn another(&self, index: usize, rights: &Rights, variant: u32) -> Option<Row> {
        if !self.relation().is_table() || (index != SELF && !self.has_scope(&rights.insert)) {
            return None;
        }
        self.given(self.maker.written(self.recipe, Some(OWNER), variant), rights)
    }

    fn inserted(&self, cell: Cell, index: usize, rights: &Rights) -> Option<String> {
        let variant = if cell == Cell::SideEffect { 3 } else { 2 };
        let mut row = self.another(index, rights, variant)?;
        if cell == Cell::InsertNobody {
            self.declared()
                .scope
                .columns()
                .iter()
                .for_each(|column| drop(row.insert((*column).to_owned(), None)));
        }
        Some(insert(&self.relation().name, &row))
    }

    /// Hands the caller's rows to the owner: without a condition, so that policies for reading do not stand in for those for
    /// writing.
    fn moved(&self, actor: &Actor, rights: &Rights) -> Option<String> {
        let row = self.handed_over(actor, rights)?;
        let set: Vec<String> =
            row.iter().map(|(column, value)| format!("{column} = {}", literal(value.as_deref()))).collect();
        Some(format!("update {} set {}", self.relation().name, set.join(", ")))
    }

    /// The columns that make a row the owner's; none where the caller has no row or may not set them.
    pub(crate) fn handed_over(&self, actor: &Actor, rights: &Rights) -> Option<Row> {
        if !self.has_scope(&rights.update) {
            return None;
        }
        self.maker.world.row(&self.relation().name, actor.party?)?;
        let value = |column: &str| self.row.get(column).cloned().flatten();
        let columns = self.declared().scope.columns();
        Some(columns.into_iter().map(|column| (column.to_owned(), value(column))).collect())
    }

    fn upserted(&self, actor: &Actor, rights: &Rights) -> Option<String> {
        let (key, row) = self.with_key(actor, rights)?;
        let text = insert_with_identity(&self.relation().name, &row);
        Some(format!("{text} on conflict ({}) do update set {}", key.columns.join(", "), self.touch(rights)?))
    }

    /// A row of the caller's own with the key of the owner's.
    pub(crate) fn with_key(&self, actor: &Actor, rights: &Rights) -> Option<(&Key, Row)> {
        let key = self.relation().keys.first()?;
        if !self.relation().is_table()
            || (!rights.insert.is_empty() && key.columns.iter().any(|name| !rights.insert.contains(name)))
        {
            return None;
        }
        let party = actor.party.unwrap_or(OWNER);
        let mut row = self.given(self.maker.written(self.recipe, Some(party), 4), rights)?;
        key.columns
            .iter()
            .for_each(|name| drop(row.insert(name.clone(), self.row.get(name).cloned().flatten())));
        Some((key, row))
    }

    /// A row of the caller's own that refers to the owner's.
    pub(crate) fn referring(&self, reference: &Reference, actor: &Actor, rights: &Rights) -> Option<Row> {
        let mut row = self.maker.written(self.recipe, actor.party, 5);
        for (place, column) in reference.columns.iter().enumerate() {
            row.insert(
                column.clone(),
                Some(self.maker.world.parent_value(reference, place, OWNER)?.to_owned()),
            );
        }
        let row = self.given(row, rights)?;
        reference.columns.iter().all(|column| row.contains_key(column)).then_some(row)
    }

    /// Private references to rows of the same relation, and those to rows of others.
    pub(crate) fn references(&self) -> (Vec<&Reference>, Vec<&Reference>) {
        self.private.iter().copied().partition(|reference| reference.parent == self.relation().name)
    }

    /// Takes the owner's row away, whose key one that refers to something of the owner's may have.
    pub(crate) fn removal(&self) -> String {
        let delete =
            format!("delete from {} where {}", self.relation().name, picked(self.relation(), self.row));
        let all: Vec<String> = self.clearing.iter().cloned().chain([delete]).collect();
        all.join("; ")
    }

    fn without_row(&self, mut probes: Vec<Probe>) -> Vec<Probe> {
        probes.iter_mut().for_each(|probe| probe.prepare = Some(self.removal()));
        probes
    }

    fn cleared(&self, mut probes: Vec<Probe>) -> Vec<Probe> {
        probes.iter_mut().for_each(|probe| probe.prepare.clone_from(&self.clearing));
        probes
    }
}

/// The owner's own rows are what the control looks for; anybody else's are not to be counted.
fn most(mut probes: Vec<Probe>, mine: i64, index: usize) -> Vec<Probe> {
    probes.iter_mut().filter(|_| index != SELF).for_each(|probe| probe.most = mine);
    probes
}

fn merge(name: &str, picked: &str, set: &str) -> String {
    format!(
        "merge into {name} as prove_target using (select 1 as prove_one) as prove_source on ({picked}) when matched then update set {set}"
    )
}

/// A digest of rows that fulfil a condition.
pub(crate) fn digest(name: &str, condition: &str) -> String {
    format!(
        "select count(*) || ':' || coalesce(md5(string_agg(x, ',' order by x)), '') from (select t::text as x from {name} t where {condition}) s"
    )
}
