//! Migrations are ordered over all crates, so their names begin with a unique timestamp.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<(String, &str), &str> = BTreeMap::new();
    let is_one = |path: &str| path.contains("/migrations/") && !path.starts_with("docs/");
    for (path, _) in tree.files().filter(|(path, _)| is_one(path)) {
        let file = path.rsplit('/').next().unwrap_or(path);
        let Some(time) = time(file) else {
            findings.push(Finding::new(path, 1, "is not named `YYYYMMDDHHMMSS_name.sql`"));
            continue;
        };
        let key = (history(path), time);
        if file.ends_with(".down.sql") {
            let forward = path.replace(".down.sql", ".sql");
            if tree.text(&forward).is_none() {
                findings.push(Finding::new(path, 1, format!("takes back `{forward}`, which does not exist")));
            }
        } else if let Some(other) = seen.insert(key, path) {
            findings.push(Finding::new(path, 1, format!("carries the same time as `{other}`")));
        }
    }
    findings
}

/// All crates share one history; each example project has its own.
fn history(path: &str) -> String {
    if path.starts_with("crates/") {
        "platform".to_owned()
    } else {
        path.split("/migrations/").take(1).collect()
    }
}

/// The time in `20261120093000_todos.sql` or `20261120093000_todos.down.sql`.
fn time(file: &str) -> Option<&str> {
    let (time, name) = file.strip_suffix(".sql")?.split_once('_')?;
    let name = name.strip_suffix(".down").unwrap_or(name);
    let named =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (named && is_time(time)).then_some(time)
}

fn is_time(text: &str) -> bool {
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<u32>().ok());
    text.len() == 14
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && part(4, 6).is_some_and(|month| (1..=12).contains(&month))
        && part(6, 8).is_some_and(|day| (1..=31).contains(&day))
        && part(8, 10).is_some_and(|hour| hour < 24)
        && part(10, 12).is_some_and(|minute| minute < 60)
        && part(12, 14).is_some_and(|second| second < 60)
}
