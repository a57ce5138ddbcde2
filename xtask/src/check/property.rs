//! Random requests to the data API against plain SQL: at length on one schema, and for minutes on one that changes.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::evidence::Evidence;

/// Random requests against protected tables; `./test` sends 400.
const CASES: &str = "10000";
/// The tests, each with its package and the word before its figures.
const FIXED: (&str, &str, &str) =
    ("rowhouse-rest", "property::requests_show_no_more_than_plain_sql_and_never_fail_with_5xx", "property: ");
const MOVING: (&str, &str, &str) =
    ("rowhouse-rest", "moving::no_answer_differs_from_plain_sql_while_the_schema_changes", "moving: ");

/// Runs both; true if both held.
pub(super) fn run(root: &Path, minutes: u32, seed: u64) -> Result<bool> {
    let fixed = test(root, FIXED, &[("PROPTEST_CASES", CASES)])?;
    let (minutes, seed) = (minutes.to_string(), seed.to_string());
    let moving =
        test(root, MOVING, &[("ROWHOUSE_PROPERTY_MINUTES", &minutes), ("ROWHOUSE_PROPERTY_SEED", &seed)])?;
    let holds = fixed.is_some() && moving.is_some();
    let report: Value = serde_json::from_str(&moving.unwrap_or_default()).unwrap_or_default();
    let parameters = json!({ "cases": CASES, "minutes_of_changes": minutes, "seed": seed });
    let figures = json!({ "fixed_schema": fixed, "changing_schema": report });
    Evidence { name: "property", only: "property", parameters, holds, figures }.write(root)?;
    Ok(holds)
}

/// The figures of a test that passed.
pub(super) fn test(
    root: &Path,
    (package, name, word): (&str, &str, &str),
    variables: &[(&str, &str)],
) -> Result<Option<String>> {
    let mut command = Command::new("cargo");
    command.args(["test", "--package", package, "--test", "it", "--", "--exact", "--nocapture", name]);
    command.envs(variables.iter().copied()).current_dir(root).stderr(Stdio::inherit());
    let text = String::from_utf8_lossy(&command.output().context("cargo")?.stdout).into_owned();
    // A test that no longer exists must not count as success.
    if !text.contains("test result: ok. 1 passed") {
        eprintln!("{name}: {text}");
        return Ok(None);
    }
    Ok(text.lines().find_map(|line| line.split_once(word)).map(|(_, figures)| figures.to_owned()))
}
