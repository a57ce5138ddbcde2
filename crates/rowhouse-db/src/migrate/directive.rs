//! Directives that have no effect as they are written: misspelt, with a value that means nothing, or where they are not read.
//! Leaves what the right ones mean to `header`.

use super::Migration;
use super::header::{DIRECTIVE, is_known};
use super::script::comments;

/// Each directive with its form.
const FORMS: [(&str, &str); 9] = [
    ("no-transaction", "no-transaction"),
    ("extension", "extension NAME"),
    ("verify", "verify CONDITION"),
    ("smoke", "smoke QUERY"),
    ("phase", "phase expand|backfill|switch|contract"),
    ("reversible", "reversible yes|no"),
    ("lock-budget", "lock-budget 500ms"),
    ("repeat", "repeat 100ms"),
    ("allow", "allow RULE: REASON"),
];

/// A comment that is meant as a directive, and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDirective {
    /// Where the comment begins, in bytes.
    pub at: usize,
    /// What is wrong, and the right form.
    pub message: String,
}

impl Migration {
    /// All of them, in order.
    #[must_use]
    pub fn bad_directives(&self) -> Vec<BadDirective> {
        let head: usize = self.head().map(|line| line.len() + 1).sum();
        let found = comments(&self.sql).filter_map(|(at, text)| {
            let message = match text.strip_prefix(DIRECTIVE) {
                Some(words) => objection(words.trim(), at < head)?,
                None => lookalike(text)?,
            };
            Some(BadDirective { at, message })
        });
        found.collect()
    }
}

/// Why a directive with these words has no effect; a waiver may stand anywhere.
fn objection(words: &str, is_in_head: bool) -> Option<String> {
    let name = first(words);
    match FORMS.iter().find(|(known, _)| *known == name) {
        None => Some(format!("`{words}` is no directive; {}.", instead(name))),
        Some((_, form)) if !is_known(words) => {
            Some(format!("`{words}` means nothing; write `{DIRECTIVE} {form}`."))
        }
        Some(_) if !is_in_head && name != "allow" => Some(format!(
            "`{words}` is not read here: directives stand in the file's first lines, which are comments, with no empty line between."
        )),
        Some(_) => None,
    }
}

/// A comment that nearly begins as a directive does: `--Rowhouse: phase expand`, `-- rowhouse phase expand`, `/* rowhouse: … */`.
fn lookalike(text: &str) -> Option<String> {
    let inner = text.trim_start_matches(['-', '/', '*', ' ', '\t']).trim_end_matches(['/', '*', ' ']);
    let word = inner.split([':', ' ']).next().unwrap_or_default();
    if distance(&word.to_ascii_lowercase(), "rowhouse") > 2 {
        return None;
    }
    let rest = inner[word.len()..].trim_start();
    let is_meant = match rest.strip_prefix(':') {
        Some(words) => nearest(first(words.trim())).is_some(),
        None => is_known(rest),
    };
    let words = rest.trim_start_matches(':').trim();
    is_meant.then(|| format!("This comment is not read as a directive; write `{DIRECTIVE} {words}`."))
}

fn first(words: &str) -> &str {
    words.split([' ', ':']).next().unwrap_or_default()
}

fn instead(name: &str) -> String {
    match nearest(name) {
        Some(form) => format!("the nearest is `{DIRECTIVE} {form}`"),
        None => format!("there are {}", FORMS.map(|(_, form)| form).join(", ")),
    }
}

/// The form of the directive whose name differs least, if that is a third of it at most.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let (near, form) = FORMS.iter().map(|(known, form)| (distance(&name, known), *form)).min()?;
    (near * 3 <= name.len()).then_some(form)
}

/// How many letters have to be changed, added or removed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(sql: &str) -> Vec<(usize, String)> {
        let found = Migration::new("20260101000000_a.sql", sql).bad_directives();
        found.into_iter().map(|bad| (bad.at, bad.message)).collect()
    }

    #[test]
    fn misspelt_directive_is_told_the_nearest_right_one() {
        for (words, right) in [
            ("no-transations", "the nearest is `-- rowhouse: no-transaction`"),
            ("lock_budget 2s", "the nearest is `-- rowhouse: lock-budget 500ms`"),
            ("Phase expand", "the nearest is `-- rowhouse: phase expand|backfill|switch|contract`"),
            ("fast", "there are no-transaction, extension NAME"),
        ] {
            let found = bad(&format!("-- why\n-- rowhouse: {words}\nselect 1;"));
            assert!(found.len() == 1 && found[0].0 == 7 && found[0].1.contains(right), "{words}: {found:?}");
        }
    }

    #[test]
    fn value_that_means_nothing_is_told_the_form() {
        for words in
            ["phase later", "reversible maybe", "lock-budget 2", "lock-budget 0s", "extension a b", "verify"]
        {
            let found = bad(&format!("-- rowhouse: {words}\nselect 1;"));
            assert!(found.len() == 1 && found[0].1.contains("means nothing; write"), "{words}: {found:?}");
        }
    }

    #[test]
    fn directive_behind_the_head_is_not_read() {
        for before in ["-- why\n\n", "select 1;\n", "  ", "/* why */\n"] {
            let found = bad(&format!("{before}-- rowhouse: no-transaction\nselect 1;"));
            assert!(found.len() == 1 && found[0].1.contains("is not read here"), "{before:?}: {found:?}");
        }
        assert_eq!(bad("-- why\n-- rowhouse: phase expand\nselect '-- rowhouse: phase expand';"), []);
        assert_eq!(bad("select 1;\n-- rowhouse: allow ban-drop-table: gone\ndrop table a;"), []);
    }

    #[test]
    fn comment_that_only_looks_like_a_directive_is_named() {
        for comment in [
            "--rowhouse: no-transaction",
            "-- Rowhouse: phase expand",
            "-- rowhouse no-transaction",
            "-- rowhose: phase expand",
            "/* rowhouse: reversible no */",
        ] {
            let found = bad(&format!("{comment}\nselect 1;"));
            assert!(
                found.len() == 1 && found[0].1.contains("is not read as a directive"),
                "{comment}: {found:?}"
            );
        }
        for prose in ["-- Rowhouse: how it works", "-- rowhouse applies this", "-- house: phase expand", "--"]
        {
            assert_eq!(bad(&format!("{prose}\nselect 1;")), [], "{prose}");
        }
    }
}
