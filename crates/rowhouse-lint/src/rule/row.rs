//! Changes of rows.

use super::{Hit, Scene};
use crate::statement::Statement;

/// Statements that change rows of tables in use, where another statement of the same transaction locks a table.
pub(super) fn backfill_with_ddl(scene: &Scene<'_>) -> Vec<Hit> {
    if !scene.file.is_transactional {
        return Vec::new();
    }
    let Some((_, lock)) = scene.statements_on_existing().find(|(_, statement)| statement.is_blocking())
    else {
        return Vec::new();
    };
    let (line, _) = scene.file.line_and_column(lock.start);
    let changes = scene.statements_on_existing().filter(|(_, statement)| is_of_many_rows(statement));
    changes
        .map(|(_, statement)| {
            let message = format!(
                "It changes rows for as long as it takes, in one transaction with the lock of line {line}."
            );
            Hit::new(statement.start, message)
        })
        .collect()
}

/// Rows that are written out are few.
fn is_of_many_rows(statement: &Statement) -> bool {
    let is_written_out = statement.begins(&["insert"]) && !statement.says(&["select"]);
    statement.is_change_of_rows() && !is_written_out
}
