//! Resolves embeds to relations.

use rowhouse_db::catalog::{QualifiedName, Relation, RelationKind, Snapshot, Table};

use super::error::{Candidate, NoRelation};
use super::{PlanError, hint};
use crate::request::{Embed, SelectItem};

/// Checks that every part of `path` is selected, by its alias if it has one.
pub(super) fn check_path(items: &[SelectItem], path: &[String]) -> Result<(), PlanError> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let embeds = || {
        items.iter().filter_map(|item| if let SelectItem::Embed(embed) = item { Some(embed) } else { None })
    };
    match embeds().find(|embed| embed.output_name() == first) {
        Some(embed) => check_path(&embed.items, rest),
        None => {
            let alias = embeds().find(|embed| embed.relation == *first).and_then(|embed| embed.alias.clone());
            Err(PlanError::NotEmbedded { target: first.clone(), alias })
        }
    }
}

/// The one relation from `table`, named `parent`, that `embed` can mean: by target, by foreign key, or by its single
/// column. Targets and junctions have to be in `schema`, so that another version of an API, as views over the same
/// tables, causes no ambiguity.
pub(super) fn find<'a>(
    snapshot: &'a Snapshot,
    schema: &str,
    table: Option<&'a Table>,
    parent: &str,
    embed: &Embed,
) -> Result<&'a Relation, PlanError> {
    let relations = table.map_or(&[][..], |table| &table.relations);
    let within: Vec<&Relation> = relations.iter().filter(|relation| is_within(relation, schema)).collect();
    let meant = |relation: &&&Relation| is_meant(relation, &embed.relation, embed.hint.as_deref());
    let found: Vec<&Relation> = within.iter().filter(meant).copied().collect();
    match found.as_slice() {
        [relation] => Ok(relation),
        [] => Err(PlanError::NoRelation(Box::new(NoRelation {
            parent: parent.to_owned(),
            child: embed.relation.clone(),
            hint: embed.hint.clone(),
            schema: schema.to_owned(),
            like: suggestion(snapshot, schema, &within, &embed.relation, parent, table.is_some()),
        }))),
        several => Err(PlanError::AmbiguousRelation {
            parent: parent.to_owned(),
            child: embed.relation.clone(),
            candidates: several.iter().map(|relation| candidate(parent, relation)).collect(),
        }),
    }
}

fn is_within(relation: &Relation, schema: &str) -> bool {
    let junction = match &relation.kind {
        RelationKind::ManyToMany(junction) => junction.table.schema == schema,
        _ => true,
    };
    junction && relation.target.schema == schema
}

/// Whether a target with an optional hint can mean `relation`. The other end is always named by its table; without
/// a hint a table, though no view, also by the foreign key or by its single column.
fn is_meant(relation: &Relation, target: &str, hint: Option<&str>) -> bool {
    if let RelationKind::Computed { function, .. } = &relation.kind {
        return function.name == target;
    }
    let by_table = relation.target.name == target;
    let junction =
        if let RelationKind::ManyToMany(junction) = &relation.kind { Some(junction) } else { None };
    let by_key = |name: &str| junction.is_none() && relation.constraint == name;
    let (here, there) = match relation.columns.as_slice() {
        [(here, there)] if junction.is_none() => (Some(here.as_str()), Some(there.as_str())),
        _ => (None, None),
    };
    if relation.is_self {
        // A self-reference gives two relations: the table's name means to-many, the column's to-one.
        let many = by_table && relation.kind == RelationKind::OneToMany;
        return match hint {
            None => many || (relation.kind == RelationKind::ManyToOne && here == Some(target)),
            Some(hint) => many && there == Some(hint),
        };
    }
    match hint {
        None => by_table || (!relation.target_is_view && (by_key(target) || here == Some(target))),
        Some(hint) => {
            by_table
                && (by_key(hint)
                    || here == Some(hint)
                    || there == Some(hint)
                    || junction.is_some_and(|junction| junction.table.name == hint))
        }
    }
}

fn suggestion(
    snapshot: &Snapshot,
    schema: &str,
    relations: &[&Relation],
    child: &str,
    parent: &str,
    parent_known: bool,
) -> Option<(String, String)> {
    if parent_known && !relations.is_empty() {
        let targets = relations.iter().map(|relation| relation.target.name.as_str());
        // The target exists, so the hint is wrong.
        if targets.clone().any(|name| name == child) {
            return None;
        }
        return hint::most_similar(child, targets, 0.33).map(|like| (like, child.to_owned()));
    }
    let others = snapshot.table_names(schema).filter(|name| *name != parent);
    hint::most_similar(parent, others, 0.33).filter(|_| !parent_known).map(|like| (like, parent.to_owned()))
}

fn candidate(parent: &str, relation: &Relation) -> Candidate {
    let list = |columns: &mut dyn Iterator<Item = &String>| {
        format!("({})", columns.map(String::as_str).collect::<Vec<_>>().join(", "))
    };
    let here = list(&mut relation.columns.iter().map(|(here, _)| here));
    let there = list(&mut relation.columns.iter().map(|(_, there)| there));
    let target = relation.target.name.clone();
    let direct = || format!("{} using {parent}{here} and {target}{there}", relation.constraint);
    let (cardinality, relationship, hint) = match &relation.kind {
        RelationKind::ManyToOne => ("many-to-one", direct(), relation.constraint.clone()),
        RelationKind::OneToOne { .. } => ("one-to-one", direct(), relation.constraint.clone()),
        RelationKind::OneToMany => ("one-to-many", direct(), relation.constraint.clone()),
        RelationKind::Computed { function, .. } => ("computed", function.name.clone(), function.name.clone()),
        RelationKind::ManyToMany(junction) => {
            let QualifiedName { name, .. } = &junction.table;
            let far = list(&mut junction.columns.iter().map(|(_, there)| there));
            let text =
                format!("{name} using {}{there} and {}{far}", relation.constraint, junction.constraint);
            ("many-to-many", text, name.clone())
        }
    };
    Candidate { cardinality, relationship, hint, target }
}
