//! Enums, schemas and publications.

use squawk_syntax::ast::Stmt;

use super::{Hit, Scene};
use crate::word::has;

fn hits(scene: &Scene<'_>, is_one: impl Fn(&crate::statement::Statement) -> bool, message: &str) -> Vec<Hit> {
    let found = scene.file.statements.iter().filter(|statement| is_one(statement));
    found.map(|statement| Hit::new(statement.start, message)).collect()
}

pub(super) fn enum_value_added(scene: &Scene<'_>) -> Vec<Hit> {
    let is_added = |statement: &crate::statement::Statement| {
        matches!(statement.stmt, Stmt::AlterType(_)) && has(&statement.words, &["add", "value"])
    };
    hits(
        scene,
        is_added,
        "A value of an enum is never taken away again, and this transaction cannot use it yet.",
    )
}

pub(super) fn enum_value_renamed(scene: &Scene<'_>) -> Vec<Hit> {
    let is_renamed = |statement: &crate::statement::Statement| {
        matches!(statement.stmt, Stmt::AlterType(_)) && has(&statement.words, &["rename", "value"])
    };
    hits(scene, is_renamed, "Programs that run read and write the old value, and fail from this moment on.")
}

pub(super) fn schema_renamed(scene: &Scene<'_>) -> Vec<Hit> {
    let is_renamed = |statement: &crate::statement::Statement| {
        matches!(statement.stmt, Stmt::AlterSchema(_)) && has(&statement.words, &["rename", "to"])
    };
    hits(
        scene,
        is_renamed,
        "Every query that names the schema fails from this moment on, and so do functions with a fixed search_path.",
    )
}

pub(super) fn publication_changed(scene: &Scene<'_>) -> Vec<Hit> {
    let is_publication = |statement: &crate::statement::Statement| {
        matches!(
            statement.stmt,
            Stmt::CreatePublication(_) | Stmt::AlterPublication(_) | Stmt::DropPublication(_)
        ) || (matches!(statement.stmt, Stmt::AlterTable(_))
            && has(&statement.words, &["replica", "identity"]))
    };
    hits(
        scene,
        is_publication,
        "It changes what leaves the database by logical replication, which no policy filters.",
    )
}
