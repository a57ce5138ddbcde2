//! Columns: their types, and what still reads one that goes.

use squawk_syntax::ast::{AlterTableAction, AstNode as _};

use super::{Hit, Scene};
use crate::constraint::columns;
use crate::statement::place;
use crate::word::words;

pub(super) fn json_column(scene: &Scene<'_>) -> Vec<Hit> {
    let columns = scene.file.statements.iter().flat_map(columns);
    let json = columns.filter(|column| column.kind.iter().any(|word| word.is("json")));
    json.map(|column| {
        Hit::new(column.at, "The type json keeps the text as it came: no index, no equality, and it is parsed for each access.")
    })
    .collect()
}

pub(super) fn column_still_referenced(scene: &Scene<'_>) -> Vec<Hit> {
    let mut known = scene.known.readers_only();
    let mut hits = Vec::new();
    for (at, statement) in scene.file.statements.iter().enumerate() {
        known.follow(statement);
        if scene.touches_only_new(at) {
            continue;
        }
        let Some(table) = statement.targets().pop() else { continue };
        for action in statement.actions() {
            let AlterTableAction::DropColumn(drop) = action else { continue };
            let column = drop.column_name_ref().and_then(|name| words(name.syntax()).pop());
            let Some(column) = column.map(|word| word.text) else { continue };
            let readers = known.readers_of(&table, &column);
            if !readers.is_empty() {
                let message = format!("{} still names {table}.{column}.", readers.join(", "));
                hits.push(Hit::new(place(drop.syntax()), message));
            }
        }
    }
    hits
}
