//! Statements after which a file runs as somebody else. The runner refuses what is not seen here.

use std::iter::once;

use squawk_syntax::SourceFile;
use squawk_syntax::ast::AstNode;

use super::{Hit, Scene};
use crate::statement::Statement;
use crate::word::{Word, WordKind, identifiers, words};

/// Stands for a name or text with escapes, which could be any.
const ANY: &str = "?";
/// What a statement inside of a block may follow.
const BEFORE: [&str; 5] = [";", "begin", "then", "else", "loop"];

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

fn changes_role(statement: &Statement) -> bool {
    let words = &statement.words;
    let updates_settings =
        statement.begins(&["update"]) && words.iter().any(|word| name(word) == "pg_settings");
    let in_block = statement.begins(&["do"])
        && words.iter().filter(|word| word.kind == WordKind::Literal).any(|word| changes_within(&text(word)));
    updates_settings || in_block || begins_change(words) || configures(words)
}

/// `discard all` resets the session's authorization, too.
fn begins_change(words: &[Word]) -> bool {
    let names: Vec<String> = words.iter().take(4).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rest = match names.as_slice() {
        ["discard", "all", ..]
        | ["set", "local" | "session", "session", "authorization", ..]
        | ["set", "session", "authorization", ..] => return true,
        ["set", "local" | "session", rest @ ..] | ["set" | "reset", rest @ ..] => rest,
        _ => return false,
    };
    matches!(rest, ["role" | "session_authorization" | ANY, ..] | ["session", "authorization", ..])
}

/// Whether `set_config` is called for the role, or for what only shows when it runs.
fn configures(words: &[Word]) -> bool {
    let is_call = |pair: &[Word]| name(&pair[0]) == "set_config" && pair[1].is("(");
    let mut calls = words.windows(2).enumerate().filter(|(_, pair)| is_call(pair));
    calls.any(|(at, _)| match (words.get(at + 2), words.get(at + 3)) {
        (Some(setting), Some(comma)) if setting.kind == WordKind::Literal && comma.is(",") => {
            matches!(text(setting).to_lowercase().as_str(), "role" | "session_authorization" | ANY)
        }
        _ => true,
    })
}

/// Whether the body of a block changes the role, or runs a text that has to do with roles.
fn changes_within(body: &str) -> bool {
    let words = words(SourceFile::parse(body).tree().syntax());
    let mut starts = once(0)
        .chain(1..words.len())
        .filter(|at| *at == 0 || BEFORE.iter().any(|before| words[at - 1].is(before)));
    let executes = || {
        let all: Vec<String> = identifiers(body).collect();
        let has = |name: &str| all.iter().any(|one| one == name);
        has("execute") && ["role", "authorization", "session_authorization"].into_iter().any(has)
    };
    body == ANY || configures(&words) || starts.any(|at| begins_change(&words[at..])) || executes()
}

/// A keyword or identifier in lower case, without quotes.
fn name(word: &Word) -> String {
    match word.text.strip_prefix("u&\"") {
        Some(escaped) if word.is_name() && escaped.contains('\\') => ANY.to_owned(),
        Some(quoted) if word.is_name() => quoted.trim_end_matches('"').to_owned(),
        _ => word.text.to_lowercase(),
    }
}

/// A literal without its quotes.
fn text(word: &Word) -> String {
    let literal = word.text.as_str();
    if let Some(tag) =
        literal.strip_prefix('$').and_then(|rest| rest.find('$')).map(|end| &literal[..end + 2])
    {
        return literal.trim_start_matches(tag).trim_end_matches(tag).to_owned();
    }
    let Some((prefix, rest)) = literal.split_once('\'') else { return ANY.to_owned() };
    match prefix.is_empty() || !rest.contains('\\') {
        true => rest.trim_end_matches('\'').replace("''", "'"),
        false => ANY.to_owned(),
    }
}
