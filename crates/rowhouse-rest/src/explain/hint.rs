//! Hints to make a statement faster: missing indexes, policies that call a function for every row, conditions that no
//! index can serve. Ignores tables so small that a sequential scan is right.

mod index;
mod scan;

use serde::Serialize;

use super::fact::{Facts, RelationFacts};
use super::governed::Governed;
use super::policy;
use super::tree::{Node, Tree};
use scan::ScanOf;

/// Smallest number of rows whose sequential scan is reported.
const NOTICEABLE: f64 = 1000.0;

/// A hint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// `missing_index`, `tenant_index`, `initplan`, `cast`, `leading_wildcard` or `not_leakproof`.
    pub kind: &'static str,
    /// The table, as SQL text.
    pub relation: String,
    /// The problem in one sentence.
    pub message: String,
    /// The statement that solves it, if there is one.
    pub statement: Option<String>,
}

/// All hints, each once.
pub(super) fn hints(tree: &Tree, facts: &Facts, governed: &[Governed]) -> Vec<Hint> {
    let mut found: Vec<Hint> = Vec::new();
    tree.root.visit(&mut |node, above| {
        if let Some(scan) = ScanOf::read(node, above, facts) {
            found.extend(index::of_scan(&scan));
        }
    });
    let has_index_hint = |found: &[Hint], relation: &str| {
        found.iter().any(|hint| hint.relation == relation && hint.kind == "missing_index")
    };
    for relation in facts {
        let missing = index::of_tenant(relation).filter(|_| !has_index_hint(&found, &relation.quoted));
        found.extend(missing);
    }
    for (relation, governed) in facts.iter().zip(governed) {
        found.extend(of_policies(relation, governed, tree));
    }
    let mut seen = Vec::new();
    found.retain(|hint| {
        !seen.contains(hint) && {
            seen.push(hint.clone());
            true
        }
    });
    found
}

/// Hints for policies that call a function per row although its result is constant.
fn of_policies(relation: &RelationFacts, governed: &Governed, tree: &Tree) -> Vec<Hint> {
    let evidence = evidence(relation, &tree.root);
    let hint = |policy: &super::Policy| {
        let using = policy.using.as_deref().and_then(policy::wrapped);
        let check = policy.check.as_deref().and_then(policy::wrapped);
        let calls = using.iter().chain(&check).flat_map(|(_, calls)| calls.clone()).next()?;
        let clause = |word: &str, wrapped: Option<(String, Vec<String>)>| {
            wrapped.map(|(text, _)| format!(" {word} ({text})")).unwrap_or_default()
        };
        let statement = format!(
            "alter policy {} on {}{}{};",
            policy.quoted,
            relation.quoted,
            clause("using", using),
            clause("with check", check)
        );
        let message = format!(
            "policy {} calls {calls} for every row; inside (select …) it is called once per statement{evidence}",
            policy.name
        );
        Some(Hint {
            kind: "initplan",
            relation: relation.quoted.clone(),
            message,
            statement: Some(statement),
        })
    };
    governed.policies.iter().filter_map(hint).collect()
}

/// Whether the plan shows the call.
fn evidence(relation: &RelationFacts, root: &Node) -> &'static str {
    let mut is_seen = false;
    root.visit(&mut |node, _| {
        is_seen |= node.relation() == Some((&*relation.schema, &*relation.name))
            && node.conditions(&["Filter", "Join Filter"]).any(policy::calls_per_row);
    });
    if is_seen { ", and the plan's filter shows the call" } else { "" }
}

#[cfg(test)]
mod tests;
