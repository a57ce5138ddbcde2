//! Which lock each statement takes, from PostgreSQL's manual. What a function or a trigger does inside is not known.

use rowhouse_db::migrate::Migration;
use serde::Serialize;
use squawk_syntax::SyntaxKind;
use squawk_syntax::ast::{AlterTableAction, Stmt};

use crate::constraint::constraints;
use crate::file::File;
use crate::statement::Statement;
use crate::word::has;

const ACCESS_EXCLUSIVE: &str = "AccessExclusiveLock";
const SHARE_ROW_EXCLUSIVE: &str = "ShareRowExclusiveLock";
const SHARE: &str = "ShareLock";
const SHARE_UPDATE_EXCLUSIVE: &str = "ShareUpdateExclusiveLock";
const ROW_EXCLUSIVE: &str = "RowExclusiveLock";

/// A statement with the lock that it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// Line of the file, from 1.
    pub line: usize,
    /// The statement.
    pub statement: String,
    /// Relations that it locks, as far as it names them.
    pub relations: Vec<String>,
    /// The strongest lock, as `pg_locks` calls it; none for a statement that locks no table in use.
    pub lock: Option<&'static str>,
    /// Who waits for it.
    pub blocks: &'static str,
}

/// The statements of a file, in order.
#[must_use]
pub fn expected_locks(migration: &Migration) -> Vec<Expected> {
    let file = File::read(migration);
    let statements = file.statements.iter();
    statements
        .map(|statement| {
            let lock = lock(statement);
            Expected {
                line: file.line_and_column(statement.start).0,
                statement: migration.sql[statement.start..statement.end].trim().to_owned(),
                relations: statement.targets().iter().map(ToString::to_string).collect(),
                lock,
                blocks: blocks(lock),
            }
        })
        .collect()
}

fn blocks(lock: Option<&str>) -> &'static str {
    match lock {
        Some(ACCESS_EXCLUSIVE) => "reads and writes",
        Some("ExclusiveLock" | SHARE_ROW_EXCLUSIVE | SHARE) => "writes",
        Some(SHARE_UPDATE_EXCLUSIVE) => "other changes of the schema",
        _ => "nobody",
    }
}

fn lock(statement: &Statement) -> Option<&'static str> {
    let is_concurrent = statement.says(&["concurrently"]);
    let text = statement.node().text();
    Some(match &statement.stmt {
        Stmt::AlterTable(_) => alter_table(statement),
        Stmt::CreateIndex(_) | Stmt::Reindex(_) if !is_concurrent => SHARE,
        Stmt::CreateIndex(_) | Stmt::Reindex(_) => SHARE_UPDATE_EXCLUSIVE,
        Stmt::DropIndex(_) if is_concurrent => SHARE_UPDATE_EXCLUSIVE,
        Stmt::CreateTrigger(_) => SHARE_ROW_EXCLUSIVE,
        Stmt::Refresh(_) if is_concurrent => "ExclusiveLock",
        Stmt::Vacuum(_) if !has(&statement.words, &["full"]) => SHARE_UPDATE_EXCLUSIVE,
        Stmt::Analyze(_) | Stmt::CommentOn(_) | Stmt::CreateStatistics(_) => SHARE_UPDATE_EXCLUSIVE,
        Stmt::Update(_) | Stmt::Delete(_) | Stmt::Insert(_) | Stmt::Merge(_) => ROW_EXCLUSIVE,
        Stmt::DropIndex(_)
        | Stmt::Refresh(_)
        | Stmt::Vacuum(_)
        | Stmt::Cluster(_)
        | Stmt::DropTable(_)
        | Stmt::DropView(_)
        | Stmt::DropTrigger(_)
        | Stmt::DropPolicy(_)
        | Stmt::CreatePolicy(_)
        | Stmt::AlterPolicy(_)
        | Stmt::CreateRule(_)
        | Stmt::Truncate(_)
        | Stmt::Lock(_) => ACCESS_EXCLUSIVE,
        // The referenced table, so that nobody deletes what is referred to meanwhile.
        Stmt::CreateTable(_) if refers(statement) => SHARE_ROW_EXCLUSIVE,
        Stmt::Select(_) if text.to_string().contains("tenancy.protect") => ACCESS_EXCLUSIVE,
        _ => return None,
    })
}

fn refers(statement: &Statement) -> bool {
    let is_reference =
        |kind| matches!(kind, SyntaxKind::REFERENCES_CONSTRAINT | SyntaxKind::FOREIGN_KEY_CONSTRAINT);
    constraints(statement).iter().any(|constraint| is_reference(constraint.kind))
}

/// The strongest of its actions.
fn alter_table(statement: &Statement) -> &'static str {
    let weak = |action: &AlterTableAction| match action {
        AlterTableAction::ValidateConstraint(_)
        | AlterTableAction::SetOptions(_)
        | AlterTableAction::ClusterOn(_)
        | AlterTableAction::SetWithoutCluster(_)
        | AlterTableAction::AttachPartition(_) => Some(SHARE_UPDATE_EXCLUSIVE),
        AlterTableAction::DetachPartition(_) if statement.says(&["concurrently"]) => {
            Some(SHARE_UPDATE_EXCLUSIVE)
        }
        AlterTableAction::EnableTrigger(_) | AlterTableAction::DisableTrigger(_) => Some(SHARE_ROW_EXCLUSIVE),
        AlterTableAction::AddConstraint(_) if refers(statement) => Some(SHARE_ROW_EXCLUSIVE),
        _ => None,
    };
    let locks: Vec<Option<&str>> = statement.actions().iter().map(weak).collect();
    match (locks.contains(&None) || locks.is_empty(), locks.contains(&Some(SHARE_ROW_EXCLUSIVE))) {
        (true, _) => ACCESS_EXCLUSIVE,
        (false, true) => SHARE_ROW_EXCLUSIVE,
        (false, false) => SHARE_UPDATE_EXCLUSIVE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strongest_lock_of_each_statement_is_known() {
        let cases = [
            ("alter table a add column b text", Some(ACCESS_EXCLUSIVE)),
            ("alter table a validate constraint b", Some(SHARE_UPDATE_EXCLUSIVE)),
            (
                "alter table a add constraint b foreign key (c) references d (e) not valid",
                Some(SHARE_ROW_EXCLUSIVE),
            ),
            ("alter table a validate constraint b, add column c text", Some(ACCESS_EXCLUSIVE)),
            ("create index on a (b)", Some(SHARE)),
            ("create index concurrently on a (b)", Some(SHARE_UPDATE_EXCLUSIVE)),
            ("drop table a", Some(ACCESS_EXCLUSIVE)),
            ("create table a (b int references c)", Some(SHARE_ROW_EXCLUSIVE)),
            ("create table a (b int)", None),
            ("update a set b = 1", Some(ROW_EXCLUSIVE)),
            ("vacuum full a", Some(ACCESS_EXCLUSIVE)),
            ("select tenancy.protect('public.a')", Some(ACCESS_EXCLUSIVE)),
            ("grant select on a to b", None),
        ];
        for (sql, lock) in cases {
            let found = expected_locks(&Migration::new("20260101000000_a.sql", sql));
            assert_eq!((found.len(), found[0].lock, found[0].line), (1, lock, 1), "{sql}");
        }
    }
}
