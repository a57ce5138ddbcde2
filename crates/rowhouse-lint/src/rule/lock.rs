//! Locks that requests wait for.

use squawk_syntax::SyntaxKind;
use squawk_syntax::ast::{AlterTableAction, Stmt};

use super::{Hit, Scene};
use crate::constraint::{constraints, indexes};
use crate::name::Name;
use crate::statement::Statement;
use crate::word::has;

pub(super) fn lock_held(scene: &Scene<'_>) -> Vec<Hit> {
    if !scene.file.is_transactional {
        return Vec::new();
    }
    let Some((first, lock)) = scene.statements_on_existing().find(|(_, statement)| statement.is_blocking())
    else {
        return Vec::new();
    };
    let (line, _) = scene.file.line_and_column(lock.start);
    let long = scene.statements_on_existing().filter(|(at, statement)| *at > first && is_long(statement));
    long.map(|(_, statement)| {
        Hit::new(
            statement.start,
            format!(
                "It takes as long as its table is big, and the lock of line {line} is held until the end."
            ),
        )
    })
    .collect()
}

/// Reads or writes a whole table; changes of rows have a rule of their own.
fn is_long(statement: &Statement) -> bool {
    let is_validation = |action: &AlterTableAction| matches!(action, AlterTableAction::ValidateConstraint(_));
    match statement.stmt {
        Stmt::CreateIndex(_) | Stmt::Refresh(_) | Stmt::Reindex(_) | Stmt::CreateMaterializedView(_) => true,
        Stmt::AlterTable(_) => statement.actions().iter().any(is_validation),
        _ => false,
    }
}

pub(super) fn needs_no_transaction(scene: &Scene<'_>) -> Vec<Hit> {
    let found = scene.file.statements.iter().filter(|statement| {
        let is_concurrent = statement.says(&["concurrently"]);
        match statement.stmt {
            Stmt::CreateIndex(_) | Stmt::DropIndex(_) | Stmt::Reindex(_) | Stmt::AlterTable(_) => {
                is_concurrent
            }
            Stmt::Vacuum(_) | Stmt::CreateDatabase(_) | Stmt::DropDatabase(_) | Stmt::AlterSystem(_) => true,
            _ => false,
        }
    });
    let found = found.filter(|_| scene.file.is_transactional);
    found
        .map(|statement| {
            Hit::new(statement.start, "PostgreSQL refuses it inside a transaction, in which the file runs.")
        })
        .collect()
}

pub(super) fn table_locked(scene: &Scene<'_>) -> Vec<Hit> {
    let locks =
        scene.statements_on_existing().filter(|(_, statement)| matches!(statement.stmt, Stmt::Lock(_)));
    locks
        .map(|(_, statement)| {
            Hit::new(
                statement.start,
                "It locks the table before it is needed, until the end of the transaction.",
            )
        })
        .collect()
}

pub(super) fn table_rewritten(scene: &Scene<'_>) -> Vec<Hit> {
    let found = scene.statements_on_existing().filter(|(_, statement)| rewrites(statement));
    found
        .map(|(_, statement)| {
            Hit::new(
                statement.start,
                "It writes the whole table anew, and nobody reads or writes it meanwhile.",
            )
        })
        .collect()
}

fn rewrites(statement: &Statement) -> bool {
    let is_rewrite = |action: &AlterTableAction| {
        matches!(
            action,
            AlterTableAction::SetLogged(_)
                | AlterTableAction::SetUnlogged(_)
                | AlterTableAction::SetTablespace(_)
                | AlterTableAction::SetAccessMethod(_)
        )
    };
    match statement.stmt {
        Stmt::Cluster(_) => true,
        Stmt::Vacuum(_) => has(&statement.words, &["full"]),
        _ => statement.actions().iter().any(is_rewrite),
    }
}

pub(super) fn exclusion_constraint(scene: &Scene<'_>) -> Vec<Hit> {
    let found = scene.statements_on_existing().flat_map(|(_, statement)| constraints(statement));
    let exclusions = found.filter(|constraint| constraint.kind == SyntaxKind::EXCLUDE_CONSTRAINT);
    exclusions
        .map(|constraint| {
            Hit::new(constraint.at, "Its index is built while nobody reads or writes the table; it can be neither not valid nor built before.")
        })
        .collect()
}

pub(super) fn stored_generated_column(scene: &Scene<'_>) -> Vec<Hit> {
    let found = scene.statements_on_existing().flat_map(|(_, statement)| constraints(statement));
    let stored = found.filter(|constraint| {
        constraint.kind == SyntaxKind::GENERATED_CONSTRAINT && has(&constraint.words, &["stored"])
    });
    stored
        .map(|constraint| {
            Hit::new(
                constraint.at,
                "It writes the whole table anew, and nobody reads or writes it meanwhile.",
            )
        })
        .collect()
}

pub(super) fn trigger_on_existing_table(scene: &Scene<'_>) -> Vec<Hit> {
    let found = scene.statements_on_existing().filter(|(_, statement)| match &statement.stmt {
        Stmt::CreateTrigger(create) => create.on_relation().is_some(),
        _ => false,
    });
    found
        .map(|(_, statement)| {
            Hit::new(statement.start, "It waits for all who write the table, holds up all who want to, and runs for each row from then on.")
        })
        .collect()
}

pub(super) fn foreign_key_without_index(scene: &Scene<'_>) -> Vec<Hit> {
    let here = scene.file.statements.iter().flat_map(indexes);
    let known: Vec<(Name, Vec<String>)> = scene.known.indexes.iter().cloned().chain(here).collect();
    let mut hits = Vec::new();
    for statement in &scene.file.statements {
        let Some(table) = statement.made_table().or_else(|| statement.targets().pop()) else { continue };
        for key in constraints(statement).into_iter().filter(is_foreign_key) {
            let is_indexed = known.iter().any(|(of, columns)| *of == table && covers(columns, &key.columns));
            // tenancy.protect makes this one.
            let is_tenant = key.columns == ["tenant_id"];
            if !is_indexed && !is_tenant && !key.columns.is_empty() {
                let columns = key.columns.join(", ");
                let message = format!(
                    "No index of {table} begins with {columns}: each delete of a referenced row reads the whole table."
                );
                hits.push(Hit::new(key.at, message));
            }
        }
    }
    hits
}

fn is_foreign_key(constraint: &crate::constraint::Constraint) -> bool {
    matches!(constraint.kind, SyntaxKind::REFERENCES_CONSTRAINT | SyntaxKind::FOREIGN_KEY_CONSTRAINT)
}

/// The index begins with the columns, in any order.
fn covers(index: &[String], key: &[String]) -> bool {
    index.len() >= key.len() && key.iter().all(|column| index[..key.len()].contains(column))
}
