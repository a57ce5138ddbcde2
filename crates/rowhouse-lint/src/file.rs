//! One migration, read by the parser of the library.

use std::collections::BTreeSet;

use rowhouse_db::migrate::{BadDirective, Migration, Phase};
use squawk_syntax::{Parse, SourceFile, SyntaxElement, SyntaxKind};

use crate::name::Name;
use crate::statement::Statement;

/// A parsed file.
pub(crate) struct File {
    pub(crate) name: String,
    /// Its text. Comments for squawk's own command line count for nothing: a waiver has a reason.
    pub(crate) sql: String,
    pub(crate) is_transactional: bool,
    pub(crate) phase: Option<Phase>,
    pub(crate) bad_directives: Vec<BadDirective>,
    pub(crate) parse: Parse<SourceFile>,
    pub(crate) statements: Vec<Statement>,
}

impl File {
    pub(crate) fn read(migration: &Migration) -> Self {
        let sql = migration.sql.replace("squawk-", "squawk_");
        let parse = SourceFile::parse(&sql);
        let statements = parse.tree().stmts().filter_map(Statement::new).collect();
        Self {
            name: migration.name.clone(),
            is_transactional: migration.is_transactional(),
            phase: migration.phase(),
            bad_directives: migration.bad_directives(),
            sql,
            parse,
            statements,
        }
    }

    /// Which statement a place is in.
    pub(crate) fn statement_at(&self, at: usize) -> Option<usize> {
        self.statements.iter().position(|statement| (statement.start..=statement.end).contains(&at))
    }

    /// Line and column of a place, from 1.
    pub(crate) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = self.sql.get(..at).unwrap_or(&self.sql);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Comments, with the place where each begins.
    pub(crate) fn comments(&self) -> Vec<(usize, String)> {
        let tokens = self.parse.syntax_node().descendants_with_tokens().filter_map(SyntaxElement::into_token);
        let comments = tokens.filter(|token| token.kind() == SyntaxKind::COMMENT);
        comments.map(|token| (usize::from(token.text_range().start()), token.text().to_owned())).collect()
    }

    /// What the statements before this one have made.
    pub(crate) fn made_before(&self, statement: usize) -> BTreeSet<Name> {
        self.statements[..statement].iter().filter_map(Statement::made).collect()
    }
}
