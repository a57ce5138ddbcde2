//! The index that a scan would have needed, and why an existing one cannot serve it.

use super::super::clause::Clause;
use super::super::fact::{Index, RelationFacts};
use super::Hint;
use super::scan::ScanOf;

/// The tenant column.
const TENANT: &str = "tenant_id";

/// How a plain column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Range,
    Like,
    Other,
}

impl Comparison {
    fn of(operator: &str) -> Self {
        match operator {
            "=" | "= ANY" => Self::Equal,
            "<" | ">" | "<=" | ">=" => Self::Range,
            "~~" | "~~*" => Self::Like,
            _ => Self::Other,
        }
    }
}

/// Columns that an index should begin with, by how they are used.
#[derive(Debug, Default)]
struct Wanted<'s> {
    equal: Vec<&'s str>,
    range: Vec<&'s str>,
    order: Vec<&'s str>,
}

/// Hints about one scan.
pub(super) fn of_scan(scan: &ScanOf<'_>) -> Vec<Hint> {
    let mut found: Vec<Hint> = scan.filters.iter().filter_map(|clause| obstacle(scan, clause)).collect();
    found.extend(missing(scan));
    found
}

/// A protected table whose policies look for rows by tenant without an index.
pub(super) fn of_tenant(facts: &RelationFacts) -> Option<Hint> {
    let column = facts.column(TENANT)?;
    let by_tenant = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(TENANT));
    let is_asked = facts.is_guarded() && facts.policies.iter().any(|policy| by_tenant(&policy.using));
    let leads = |index: &Index| !index.partial && index.columns.first().is_some_and(|name| name == TENANT);
    if !is_asked || facts.indexes.iter().any(leads) {
        return None;
    }
    Some(Hint {
        kind: "tenant_index",
        relation: facts.quoted.clone(),
        message: format!(
            "no index of {} begins with {TENANT}, by which its policies choose rows",
            facts.quoted
        ),
        statement: Some(format!("create index on {} ({});", facts.quoted, column.quoted)),
    })
}

fn missing(scan: &ScanOf<'_>) -> Option<Hint> {
    let wanted = wanted(scan);
    let asked: Vec<&str> = wanted
        .equal
        .iter()
        .chain(&wanted.range)
        .chain(&wanted.order)
        .copied()
        .filter(|c| *c != TENANT)
        .collect();
    if asked.is_empty() || scan.facts.indexes.iter().any(|index| serves(index, &asked, &wanted.equal)) {
        return None;
    }
    let mut columns: Vec<&str> = wanted.equal.clone();
    match wanted.range.first() {
        Some(range) => columns.push(range),
        None => columns.extend(wanted.order.iter().filter(|column| !wanted.equal.contains(column))),
    }
    let quoted: Vec<&str> =
        columns.iter().filter_map(|name| Some(scan.facts.column(name)?.quoted.as_str())).collect();
    let relation = scan.facts.quoted.clone();
    Some(Hint {
        kind: "missing_index",
        message: format!(
            "about {} rows of {relation} are read to find those by {}",
            scan.rows,
            asked.join(", ")
        ),
        statement: Some(format!("create index on {relation} ({});", quoted.join(", "))),
        relation,
    })
}

fn wanted<'s>(scan: &'s ScanOf<'_>) -> Wanted<'s> {
    let mut wanted = Wanted::default();
    let usable =
        |clause: &&Clause| is_plain(scan.facts, clause) && is_served_below_policies(scan, &clause.column);
    for clause in scan.filters.iter().filter(usable) {
        match Comparison::of(&clause.operator) {
            Comparison::Equal => wanted.equal.push(&clause.column),
            Comparison::Range => wanted.range.push(&clause.column),
            Comparison::Like | Comparison::Other => {}
        }
    }
    // A join may read all of a table; join columns count only if there are no filters.
    if wanted.equal.iter().all(|column| *column == TENANT) && wanted.range.is_empty() {
        let joins = scan.joins.iter().filter(usable).filter(|clause| clause.operator == "=");
        wanted.equal.extend(joins.map(|clause| clause.column.as_str()));
    }
    wanted.order.extend(scan.order.iter().map(String::as_str));
    wanted.equal.sort_by_key(|column| *column != TENANT);
    wanted.equal.dedup();
    wanted
}

/// Whether the index has one of the columns directly after columns with equality.
fn serves(index: &Index, asked: &[&str], equal: &[&str]) -> bool {
    let mut before = index.columns.iter().take_while(|column| equal.contains(&column.as_str()));
    let reached = before.by_ref().count();
    !index.partial && index.columns.iter().take(reached + 1).any(|column| asked.contains(&column.as_str()))
}

/// Compared without a cast; a binary-coercible one (`varchar` to `text`) does not count.
fn is_plain(facts: &RelationFacts, clause: &Clause) -> bool {
    let Some(cast) = &clause.cast else { return true };
    let is_text = |name: &str| matches!(name, "text" | "character varying");
    facts
        .column(&clause.column)
        .is_some_and(|column| column.type_name == *cast || (is_text(&column.type_name) && is_text(cast)))
}

/// PostgreSQL evaluates only leakproof comparisons before policies.
fn is_served_below_policies(scan: &ScanOf<'_>, column: &str) -> bool {
    !scan.is_guarded || scan.facts.column(column).is_some_and(|column| column.leakproof)
}

/// Why no index can serve this condition.
fn obstacle(scan: &ScanOf<'_>, clause: &Clause) -> Option<Hint> {
    let facts = scan.facts;
    let column = facts.column(&clause.column)?;
    let hint = |kind, message: String, statement| {
        Some(Hint { kind, relation: facts.quoted.clone(), message, statement })
    };
    let name = format!("{}.{}", facts.quoted, column.quoted);
    let comparison = Comparison::of(&clause.operator);
    if comparison == Comparison::Like && clause.value.trim_start_matches('(').starts_with("'%") {
        if scan.is_guarded {
            let message = format!(
                "a pattern on {name} that begins with a wildcard has no index to use, and below policies no pattern has; narrow the rows by another filter, or search with a stored, indexed column"
            );
            return hint("leading_wildcard", message, None);
        }
        if facts.indexes.iter().any(|index| index.method == "gin" && index.columns.contains(&clause.column)) {
            return None;
        }
        let message = format!("a pattern on {name} that begins with a wildcard can only use a trigram index");
        let statement = format!(
            "create extension if not exists pg_trgm with schema extensions; create index on {} using gin ({} extensions.gin_trgm_ops);",
            facts.quoted, column.quoted
        );
        return hint("leading_wildcard", message, Some(statement));
    }
    if matches!(comparison, Comparison::Like | Comparison::Other) {
        return None;
    }
    if let (Some(cast), false) = (&clause.cast, is_plain(facts, clause)) {
        let message = format!(
            "{name} is cast to {cast} before it is compared, so an index on it cannot be used; compare it as {}, or index the expression",
            column.type_name
        );
        return hint("cast", message, None);
    }
    if is_served_below_policies(scan, &clause.column) {
        return None;
    }
    let message = format!(
        "{name} is {}, whose comparison is not leakproof: below policies no index on it is used, and every row that the policy lets through is read",
        column.type_name
    );
    hint("not_leakproof", message, None)
}
