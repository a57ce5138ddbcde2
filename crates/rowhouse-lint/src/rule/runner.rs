//! What the runner would not read, or could not rely on any more.

use super::{Hit, Scene};
use crate::statement::Statement;

pub(super) fn unknown_directive(scene: &Scene<'_>) -> Vec<Hit> {
    scene.file.bad_directives.iter().map(|bad| Hit::new(bad.at, bad.message.as_str())).collect()
}

pub(super) fn role_changed(scene: &Scene<'_>) -> Vec<Hit> {
    let found = scene.file.statements.iter().filter(|statement| changes_role(statement));
    found
        .map(|statement| {
            Hit::new(
                statement.start,
                "What follows runs as another role than the project's: that one owns what it makes, and the limits of migrations do not bind it.",
            )
        })
        .collect()
}

/// `discard all` resets the session's authorization, too.
fn changes_role(statement: &Statement) -> bool {
    const BEGINNINGS: [&[&str]; 8] = [
        &["set", "role"],
        &["set", "local", "role"],
        &["set", "session", "role"],
        &["set", "session", "authorization"],
        &["set", "local", "session", "authorization"],
        &["reset", "role"],
        &["reset", "session", "authorization"],
        &["discard", "all"],
    ];
    let is_set = |setting| statement.says(&["set_config", "(", setting]);
    BEGINNINGS.iter().any(|beginning| statement.begins(beginning))
        || is_set("'role'")
        || is_set("'session_authorization'")
}
