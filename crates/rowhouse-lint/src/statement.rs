//! One statement of a file: what it makes, and which relations it locks.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, Stmt};

use crate::name::Name;
use crate::word::{Word, has, words};

/// A statement with its place.
pub(crate) struct Statement {
    pub(crate) stmt: Stmt,
    /// Of its first word, in bytes.
    pub(crate) start: usize,
    /// Behind its last word.
    pub(crate) end: usize,
    pub(crate) words: Vec<Word>,
}

fn named(node: Option<impl AstNode>) -> Vec<Name> {
    node.and_then(|node| Name::of(node.syntax())).into_iter().collect()
}

fn each(nodes: impl Iterator<Item = impl AstNode>) -> Vec<Name> {
    nodes.filter_map(|node| Name::of(node.syntax())).collect()
}

impl Statement {
    pub(crate) fn new(stmt: Stmt) -> Option<Self> {
        let words = words(stmt.syntax());
        let start = words.first()?.at;
        let end = usize::from(stmt.syntax().text_range().end());
        Some(Self { stmt, start, end, words })
    }

    pub(crate) fn node(&self) -> &SyntaxNode {
        self.stmt.syntax()
    }

    pub(crate) fn says(&self, phrase: &[&str]) -> bool {
        has(&self.words, phrase)
    }

    /// Whether it begins with these words.
    pub(crate) fn begins(&self, phrase: &[&str]) -> bool {
        self.words.len() >= phrase.len()
            && self.words.iter().zip(phrase).all(|(word, wanted)| word.is(wanted))
    }

    /// The table that it makes and that stays.
    pub(crate) fn made_table(&self) -> Option<Name> {
        let is_temporary = self.words.iter().take(4).any(|word| word.is("temp") || word.is("temporary"));
        let name = match &self.stmt {
            Stmt::CreateTable(create) => create.table_name().and_then(|name| Name::of(name.syntax())),
            Stmt::CreateTableAs(create) => create.table_name().and_then(|name| Name::of(name.syntax())),
            _ => None,
        };
        name.filter(|_| !is_temporary)
    }

    /// What it makes that later statements may change without harm: tables, views and indexes.
    pub(crate) fn made(&self) -> Option<Name> {
        match &self.stmt {
            Stmt::CreateTable(create) => named(create.table_name()).pop(),
            Stmt::CreateTableAs(create) => named(create.table_name()).pop(),
            Stmt::CreateView(create) => named(create.view()).pop(),
            Stmt::CreateMaterializedView(create) => named(create.view()).pop(),
            Stmt::CreateIndex(create) => named(create.index()).pop(),
            _ => None,
        }
    }

    /// Relations that it changes, reads all of, or takes away.
    pub(crate) fn targets(&self) -> Vec<Name> {
        match &self.stmt {
            Stmt::AlterTable(alter) => named(alter.table_relation_name()),
            Stmt::CreateIndex(create) => named(create.table_relation_name()),
            Stmt::CreateTrigger(create) => named(create.on_relation()),
            Stmt::CreatePolicy(create) => named(create.on_table()),
            Stmt::AlterPolicy(alter) => named(alter.on_table()),
            Stmt::DropPolicy(drop) => named(drop.on_table()),
            Stmt::Update(update) => named(update.relation_name()),
            Stmt::Delete(delete) => named(delete.relation_name()),
            Stmt::Insert(insert) => named(insert.relation_name_ref()),
            Stmt::Merge(merge) => named(merge.table_relation_name()),
            Stmt::Cluster(cluster) => named(cluster.table_name_ref()),
            Stmt::DropTable(drop) => each(drop.table_name_refs()),
            Stmt::DropView(drop) => each(drop.view_refs()),
            Stmt::DropMaterializedView(drop) => each(drop.view_refs()),
            Stmt::Vacuum(vacuum) => named(vacuum.table_and_columns_list()),
            Stmt::Lock(lock) => named(lock.relation_list()),
            Stmt::Truncate(truncate) => named(truncate.table_list()),
            _ => Vec::new(),
        }
    }

    /// The actions of `alter table`.
    pub(crate) fn actions(&self) -> Vec<ast::AlterTableAction> {
        match &self.stmt {
            Stmt::AlterTable(alter) => alter.actions().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it changes rows.
    pub(crate) fn is_change_of_rows(&self) -> bool {
        matches!(self.stmt, Stmt::Update(_) | Stmt::Delete(_) | Stmt::Insert(_) | Stmt::Merge(_))
    }

    /// Whether requests on its target wait for the end of the transaction.
    pub(crate) fn is_blocking(&self) -> bool {
        let is_partial =
            |action: &ast::AlterTableAction| matches!(action, ast::AlterTableAction::ValidateConstraint(_));
        match &self.stmt {
            Stmt::AlterTable(_) => !self.actions().iter().all(is_partial),
            Stmt::CreateIndex(create) => create.concurrently_token().is_none(),
            Stmt::CreateTrigger(_)
            | Stmt::DropTable(_)
            | Stmt::Lock(_)
            | Stmt::Truncate(_)
            | Stmt::Cluster(_)
            | Stmt::CreatePolicy(_)
            | Stmt::DropPolicy(_)
            | Stmt::AlterPolicy(_) => true,
            _ => false,
        }
    }
}

/// Where a node's first word begins.
pub(crate) fn place(node: &SyntaxNode) -> usize {
    words(node).first().map_or_else(|| usize::from(node.text_range().start()), |word| word.at)
}
