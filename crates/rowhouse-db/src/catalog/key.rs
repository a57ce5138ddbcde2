//! Keys by oid and attribute number as in the catalogs, resolved for tables and the views over them.

use std::collections::{BTreeMap, HashMap};

use super::view::ColumnId;
use super::{ForeignKey, QualifiedName};

/// A constraint of any schema.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) table: u32,
    pub(super) kind: KeyKind,
    pub(super) name: String,
    pub(super) columns: Vec<i16>,
    pub(super) foreign: u32,
    pub(super) foreign_columns: Vec<i16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Primary,
    Unique,
    Foreign,
}

/// Names by oid and attribute number.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) relations: HashMap<u32, QualifiedName>,
    pub(super) columns: HashMap<ColumnId, String>,
}

impl Names {
    /// Names of several columns; `None` if one was dropped.
    pub(super) fn of(&self, relation: u32, columns: &[i16]) -> Option<Vec<String>> {
        columns.iter().map(|column| self.columns.get(&(relation, *column)).cloned()).collect()
    }
}

/// Which views show which tables: table → view → (table column, view column), in order of view columns.
#[derive(Debug, Default)]
pub(super) struct Shown(BTreeMap<u32, BTreeMap<u32, Vec<(i16, i16)>>>);

impl Shown {
    pub(super) fn new(resolved: &[(ColumnId, ColumnId)]) -> Self {
        let mut shown = Self::default();
        for ((view, at), (table, column)) in resolved {
            shown.0.entry(*table).or_default().entry(*view).or_default().push((*column, *at));
        }
        shown
    }

    /// Every way in which a view shows all of `columns`: (view, its columns). A column shown twice gives two ways.
    fn ways(&self, table: u32, columns: &[i16]) -> Vec<(u32, Vec<i16>)> {
        let views = self.0.get(&table).into_iter().flatten();
        views
            .flat_map(|(view, pairs)| combinations(pairs, columns).into_iter().map(|way| (*view, way)))
            .collect()
    }

    /// The primary keys of views: all primary keys of tables that they show whole.
    pub(super) fn primary_keys(&self, keys: &[Key]) -> HashMap<u32, Vec<i16>> {
        let mut found: HashMap<u32, Vec<i16>> = HashMap::new();
        for key in keys.iter().filter(|key| key.kind == KeyKind::Primary) {
            let mut done = Vec::new();
            for (view, way) in self.ways(key.table, &key.columns) {
                if !done.contains(&view) {
                    done.push(view);
                    found.entry(view).or_default().extend(way);
                }
            }
        }
        found
    }

    /// Foreign keys between tables, and between the views that show their columns.
    pub(super) fn foreign_keys(&self, keys: &[Key], names: &Names) -> Vec<ForeignKey> {
        let mut unique: HashMap<u32, Vec<Vec<i16>>> = HashMap::new();
        for key in keys.iter().filter(|key| key.kind != KeyKind::Foreign) {
            unique.entry(key.table).or_default().push(sorted(&key.columns));
        }
        let mut found = Vec::new();
        for key in keys.iter().filter(|key| key.kind == KeyKind::Foreign) {
            let columns = sorted(&key.columns);
            let one_to_one = unique.get(&key.table).is_some_and(|unique| unique.contains(&columns));
            let near =
                std::iter::once((key.table, key.columns.clone())).chain(self.ways(key.table, &key.columns));
            let far: Vec<_> = std::iter::once((key.foreign, key.foreign_columns.clone()))
                .chain(self.ways(key.foreign, &key.foreign_columns))
                .collect();
            for (table, columns) in near {
                found.extend(far.iter().filter_map(|(foreign, foreign_columns)| {
                    Some(ForeignKey {
                        constraint: key.name.clone(),
                        table: names.relations.get(&table)?.clone(),
                        columns: names.of(table, &columns)?,
                        foreign: names.relations.get(foreign)?.clone(),
                        foreign_columns: names.of(*foreign, foreign_columns)?,
                        one_to_one,
                    })
                }));
            }
        }
        found
    }
}

fn sorted(columns: &[i16]) -> Vec<i16> {
    let mut columns = columns.to_vec();
    columns.sort_unstable();
    columns
}

/// One view column for each of `columns`, in all combinations; none when a column is not shown.
fn combinations(pairs: &[(i16, i16)], columns: &[i16]) -> Vec<Vec<i16>> {
    columns.iter().fold(vec![Vec::new()], |ways, column| {
        let shown: Vec<i16> = pairs.iter().filter(|(base, _)| base == column).map(|(_, at)| *at).collect();
        let longer = |way: &Vec<i16>, at: &i16| way.iter().copied().chain([*at]).collect();
        ways.iter().flat_map(|way| shown.iter().map(move |at| longer(way, at))).collect()
    })
}

#[cfg(test)]
mod tests;
