//! Combines a plan with catalog data: applied policies, scans and hints.

use std::collections::BTreeSet;

use serde::Serialize;

use super::fact::{Facts, Policy, RelationFacts};
use super::governed::Governed;
use super::hint::{self, Hint};
use super::tree::{Node, Tree};

/// The report on a statement.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainReport {
    /// The plan.
    pub plan: Tree,
    /// Each relation with the policies that applied.
    pub relations: Vec<Governed>,
    /// Scans through an index.
    pub indexes: Vec<Scan>,
    /// Scans of whole relations.
    pub sequential: Vec<Scan>,
    /// What to change.
    pub hints: Vec<Hint>,
}

/// One scan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scan {
    /// `schema.name`; none where the plan does not say, as below a bitmap scan.
    pub relation: Option<String>,
    /// The index.
    pub index: Option<String>,
    /// `Seq Scan`, `Index Scan`…
    pub kind: String,
    /// Rows that the planner expects.
    pub rows: f64,
    /// Actual rows over all loops; with `analyze`.
    pub actual_rows: Option<f64>,
}

/// Combines plan and facts. A pure function.
#[must_use]
pub fn analyse(plan: Tree, facts: &Facts) -> ExplainReport {
    let relations: Vec<Governed> = facts.iter().map(|facts| governed(facts, &plan.root)).collect();
    let (mut indexes, mut sequential) = (Vec::new(), Vec::new());
    plan.root.visit(&mut |node, _| {
        if node.index.is_some() {
            indexes.push(scan(node));
        } else if node.kind == "Seq Scan" {
            sequential.push(scan(node));
        }
    });
    let hints = hint::hints(&plan, facts, &relations);
    ExplainReport { plan, relations, indexes, sequential, hints }
}

fn scan(node: &Node) -> Scan {
    Scan {
        relation: node.relation().map(|(schema, name)| format!("{schema}.{name}")),
        index: node.index.clone(),
        kind: node.kind.clone(),
        rows: node.rows,
        actual_rows: node.actual.map(|actual| actual.rows * actual.loops),
    }
}

fn governed(facts: &RelationFacts, root: &Node) -> Governed {
    let commands = commands(facts, root);
    let took_part = |policy: &&Policy| policy.command == "all" || commands.contains(policy.command.as_str());
    let policies = if facts.is_guarded() {
        facts.policies.iter().filter(took_part).cloned().collect()
    } else {
        Vec::new()
    };
    Governed {
        relation: facts.quoted.clone(),
        role: facts.role.clone(),
        row_security: facts.row_security,
        bypassed: facts.bypassed,
        policies,
    }
}

/// The commands on the relation: policies for reading apply unless rows are only inserted and not returned
/// (PostgreSQL's documentation of `create policy`).
fn commands(facts: &RelationFacts, root: &Node) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    root.visit(&mut |node, _| {
        if node.relation() != Some((&*facts.schema, &*facts.name)) {
            return;
        }
        match node.operation.as_deref() {
            Some("Insert") => {
                found.insert("insert");
                if node.conflict.as_deref() == Some("UPDATE") {
                    found.extend(["update", "select"]);
                }
                if node.output.iter().any(|column| column.contains('.')) {
                    found.insert("select");
                }
            }
            Some("Update") => found.extend(["update", "select"]),
            Some("Delete") => found.extend(["delete", "select"]),
            _ => drop(found.insert("select")),
        }
    });
    // Removed by the planner, or present as a partition only.
    if found.is_empty() {
        found.insert("select");
    }
    found
}
