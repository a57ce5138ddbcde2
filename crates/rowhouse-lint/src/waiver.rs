//! Waivers: `-- rowhouse: allow RULE: reason` directly above a statement.

use crate::file::File;

/// The prefix of a directive, and the name of this one.
const PREFIX: (&str, &str) = ("-- rowhouse:", "allow ");

/// A waiver in a file.
pub(crate) struct Waiver {
    pub(crate) rule: String,
    pub(crate) reason: String,
    /// The statement below it.
    pub(crate) statement: Option<usize>,
    pub(crate) at: usize,
}

/// The waivers of a file.
pub(crate) fn waivers(file: &File) -> Vec<Waiver> {
    let found = file.comments().into_iter().filter_map(|(at, text)| {
        let words = text.strip_prefix(PREFIX.0)?.trim_start();
        Some((at, words.strip_prefix(PREFIX.1)?.to_owned()))
    });
    found
        .map(|(at, text)| {
            let (rule, reason) = text.split_once(':').unwrap_or((&text, ""));
            let is_inside = file.statements.iter().any(|s| s.start < at && at < s.end);
            let below = file.statements.iter().position(|statement| statement.start > at);
            Waiver {
                rule: rule.trim().to_owned(),
                reason: reason.trim().to_owned(),
                statement: below.filter(|_| !is_inside),
                at,
            }
        })
        .collect()
}
