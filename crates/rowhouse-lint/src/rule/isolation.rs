//! What keeps tenants apart.

use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{Hit, Scene};
use crate::constraint::{columns, indexes};
use crate::name::Name;
use crate::statement::{Statement, place};
use crate::word::{Word, WordKind, has, identifiers, position};
use squawk_syntax::ast::AstNode as _;

const TENANT: &str = "tenant_id";

pub(super) fn table_without_isolation(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (at, statement) in scene.file.statements.iter().enumerate() {
        let Some(table) = statement.made_table() else { continue };
        let after = &scene.file.statements[at + 1..];
        let is_gone = after.iter().any(|s| s.begins(&["drop", "table"]) && s.targets().contains(&table));
        if is_gone || !scene.exposed.contains(&table.schema) || after.iter().any(|s| declares(s, &table)) {
            continue;
        }
        let missing = missing(&scene.file.statements[at..], statement, &table);
        if !missing.is_empty() {
            let message = format!("{table} is served by the data API and lacks {}.", missing.join(", "));
            hits.push(Hit::new(statement.start, message));
        }
    }
    hits
}

/// Whether the statement gives the table to tenants, or to all of them; code in a block is taken at its word.
fn declares(statement: &Statement, table: &Name) -> bool {
    let text = statement.node().text().to_string();
    if !["tenancy.protect", "tenancy.share"].iter().any(|function| text.contains(function)) {
        return false;
    }
    statement.words.iter().filter(|word| word.kind == WordKind::Literal).any(|literal| {
        let is_block = literal.text.starts_with('$');
        Name::in_literal(&literal.text).as_ref() == Some(table)
            || (is_block && identifiers(&literal.text).any(|word| word == table.name))
    })
}

/// What the table lacks of row-level security; `from` begins with the statement that makes it.
fn missing(from: &[Statement], make: &Statement, table: &Name) -> Vec<&'static str> {
    let on_table = |statement: &&Statement| statement.targets().contains(table);
    let actions: Vec<AlterTableAction> = from.iter().filter(on_table).flat_map(Statement::actions).collect();
    let mut missing = Vec::new();
    if !actions.iter().any(|action| matches!(action, AlterTableAction::EnableRls(_))) {
        missing.push("row-level security");
    }
    if !actions.iter().any(|action| matches!(action, AlterTableAction::ForceRls(_))) {
        missing.push("force row level security");
    }
    let has_tenant = columns(make).iter().any(|column| column.name == TENANT);
    let mut indexes = from.iter().flat_map(indexes);
    let is_indexed =
        indexes.any(|(of, columns)| of == *table && columns.first().is_some_and(|c| c == TENANT));
    if has_tenant && !is_indexed {
        missing.push("an index that begins with tenant_id");
    }
    missing
}

pub(super) fn isolation_removed(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (_, statement) in scene.statements_on_existing() {
        for action in statement.actions() {
            let (node, what) = match &action {
                AlterTableAction::DisableRls(action) => (
                    action.syntax(),
                    "Without row-level security every tenant's rows are open to who may read the table.",
                ),
                AlterTableAction::NoForceRls(action) => (
                    action.syntax(),
                    "Without force the table's owner, and each function of that owner, sees all tenants' rows.",
                ),
                _ => continue,
            };
            hits.push(Hit::new(place(node), what));
        }
    }
    hits
}

pub(super) fn policy_gap(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (at, statement) in scene.statements_on_existing() {
        let (Stmt::DropPolicy(_), Some(table)) = (&statement.stmt, statement.targets().pop()) else {
            continue;
        };
        let replaces =
            |s: &Statement| matches!(s.stmt, Stmt::CreatePolicy(_)) && s.targets().contains(&table);
        let goes = |s: &Statement| s.begins(&["drop", "table"]) && s.targets().contains(&table);
        let (before, after) = scene.file.statements.split_at(at);
        let is_replaced = before.iter().any(replaces)
            || after.iter().any(|s| goes(s) || declares(s, &table))
            || (scene.file.is_transactional && after.iter().any(replaces));
        if !is_replaced {
            let message = format!(
                "{table} loses a policy with no other in its place: rows vanish, or open up if it was restrictive."
            );
            hits.push(Hit::new(statement.start, message));
        }
    }
    hits
}

pub(super) fn grant_widened(scene: &Scene<'_>) -> Vec<Hit> {
    let grants = scene.file.statements.iter().filter_map(|statement| {
        let is_grant = statement.begins(&["grant"]) || statement.begins(&["alter", "default", "privileges"]);
        let start = position(&statement.words, &["grant"]).filter(|_| is_grant)?;
        Some((statement, &statement.words[start..]))
    });
    grants.filter_map(|(statement, words)| Some(Hit::new(statement.start, widened(words)?))).collect()
}

/// What is wrong with a grant, if it is. Functions are PUBLIC's by default, and row-level security does not concern them.
fn widened(words: &[Word]) -> Option<String> {
    let to = position(words, &["to"])?;
    let what = position(words, &["on"])?;
    let is_function =
        ["function", "functions", "procedure", "routine", "routines", "procedures", "type", "language"]
            .iter()
            .any(|kind| has(&words[what..to], &[kind]));
    let is_usage = has(&words[..what], &["usage"]) && what == 2;
    let everybody = words[to..].iter().find(|word| word.is("public") || word.text == "anon")?;
    let whom = if everybody.is("public") {
        "PUBLIC, which is every login of the server"
    } else {
        "anon, which is everybody on the network"
    };
    (!is_function && !is_usage).then(|| format!("It opens more to {whom}."))
}

pub(super) fn definer_search_path(scene: &Scene<'_>) -> Vec<Hit> {
    let found = scene.file.statements.iter().filter(|statement| {
        matches!(statement.stmt, Stmt::CreateFunction(_) | Stmt::CreateProcedure(_))
            && statement.says(&["security", "definer"])
            && !statement.says(&["set", "search_path"])
    });
    found
        .map(|statement| {
            Hit::new(statement.start, "It runs with its owner's rights, and the caller's search_path decides which tables and functions its names mean.")
        })
        .collect()
}
