//! Constraints, columns and indexes, wherever a statement declares them.

use squawk_syntax::ast::{self, AstNode, Stmt};
use squawk_syntax::{SyntaxKind, SyntaxNode};

use crate::name::Name;
use crate::statement::{Statement, place};
use crate::word::{Word, listed, position, words};

/// A column that a statement declares.
pub(crate) struct Column {
    pub(crate) name: String,
    /// The words of its type.
    pub(crate) kind: Vec<Word>,
    pub(crate) at: usize,
}

/// The columns that the statement declares, and those whose type it changes.
pub(crate) fn columns(statement: &Statement) -> Vec<Column> {
    let column = |name: Option<SyntaxNode>, kind: Option<ast::Type>, node: &SyntaxNode| Column {
        name: name.and_then(|name| words(&name).pop()).map(|word| word.text).unwrap_or_default(),
        kind: kind.map(|kind| words(kind.syntax())).unwrap_or_default(),
        at: place(node),
    };
    let declared = statement.node().descendants().filter_map(|node| {
        if let Some(found) = ast::Column::cast(node.clone()) {
            return Some(column(found.name().map(|name| name.syntax().clone()), found.ty(), &node));
        }
        if let Some(found) = ast::AddColumn::cast(node.clone()) {
            return Some(column(found.column_name().map(|name| name.syntax().clone()), found.ty(), &node));
        }
        let found = ast::SetType::cast(node.clone())?;
        Some(column(None, found.ty(), &node))
    });
    match statement.stmt {
        Stmt::CreateTable(_) | Stmt::AlterTable(_) => declared.collect(),
        _ => Vec::new(),
    }
}

/// A constraint that a statement declares.
pub(crate) struct Constraint {
    pub(crate) kind: SyntaxKind,
    /// What it is about, for keys; empty where it cannot be read.
    pub(crate) columns: Vec<String>,
    pub(crate) words: Vec<Word>,
    pub(crate) at: usize,
}

/// The constraints that the statement declares.
pub(crate) fn constraints(statement: &Statement) -> Vec<Constraint> {
    let is_table = matches!(statement.stmt, Stmt::CreateTable(_) | Stmt::AlterTable(_));
    let nodes = statement.node().descendants().filter(|node| is_table && is_constraint(node.kind()));
    nodes
        .map(|node| {
            let words = words(&node);
            let columns = match column_around(&node) {
                Some(column) => vec![column],
                None => listed(&words, key_position(&words)),
            };
            Constraint { kind: node.kind(), columns, at: place(&node), words }
        })
        .collect()
}

fn is_constraint(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::REFERENCES_CONSTRAINT
            | SyntaxKind::FOREIGN_KEY_CONSTRAINT
            | SyntaxKind::UNIQUE_CONSTRAINT
            | SyntaxKind::PRIMARY_KEY_CONSTRAINT
            | SyntaxKind::EXCLUDE_CONSTRAINT
            | SyntaxKind::GENERATED_CONSTRAINT
    )
}

/// Behind `key` or `unique`, where the columns of a table's constraint stand.
fn key_position(words: &[Word]) -> usize {
    position(words, &["key"]).or_else(|| position(words, &["unique"])).unwrap_or(0)
}

/// The column in whose declaration a constraint stands.
fn column_around(constraint: &SyntaxNode) -> Option<String> {
    let name = constraint.ancestors().find_map(|node| {
        let name = ast::Column::cast(node.clone()).map(|column| column.name());
        name.or_else(|| ast::AddColumn::cast(node).map(|column| column.column_name()))
    });
    words(name??.syntax()).pop().map(|word| word.text)
}

/// Tables with the columns of an index that the statement makes, also by a key.
pub(crate) fn indexes(statement: &Statement) -> Vec<(Name, Vec<String>)> {
    if let Stmt::CreateIndex(create) = &statement.stmt {
        let items = create.partition_item_list().map(|items| listed(&words(items.syntax()), 0));
        return statement
            .targets()
            .into_iter()
            .map(|table| (table, items.clone().unwrap_or_default()))
            .collect();
    }
    let Some(table) = statement.made_table().or_else(|| statement.targets().pop()) else { return Vec::new() };
    let keys = constraints(statement).into_iter().filter(|constraint| {
        matches!(constraint.kind, SyntaxKind::UNIQUE_CONSTRAINT | SyntaxKind::PRIMARY_KEY_CONSTRAINT)
    });
    keys.map(|key| (table.clone(), key.columns)).collect()
}
