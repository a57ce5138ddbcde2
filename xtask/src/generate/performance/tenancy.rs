//! The figures of `cargo xtask bench tenancy`.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::{limits, measured_by};

const EVIDENCE: &str = "docs/evidence/bench-tenancy.json";

const METHOD: &str = "\
A project's own PostgreSQL as `up` starts it, with users and tenants written into the platform's tables by SQL; a fifth as many
organizations as tenants, the first of which has a fifth of the tenants and all users who are suspended. Requests of a kind are
sent one after the other, with tokens of a super_admin, of the large organization's owner and of a member; what is promised is
the 95th percentile, from the request to the end of the answer. The sync makes the profile of every user. The suspension runs
from the request to the job's end as a client sees it; afterwards sessions and accounts are counted that are still open.
";

/// Empty before the first complete run.
pub(super) fn section(root: &Path) -> Result<String> {
    super::section(root, EVIDENCE, render)
}

fn render(run: &Value) -> Option<String> {
    let number = |name: &str| run["parameters"][name].as_u64();
    Some(format!(
        "\n## Many users and tenants\n\n{} users and {} tenants, of whom {} users are suspended. {}\n\n{}\n{METHOD}",
        number("users")?,
        number("tenants")?,
        number("suspended")?,
        measured_by(run)?,
        tables(run)?,
    ))
}

/// The figures of a run; none if one is missing.
pub(crate) fn tables(run: &Value) -> Option<String> {
    let figures: Option<String> = run["figures"].as_array()?.iter().map(figure).collect();
    Some(format!(
        "| requests | p50 ms | p95 ms | worst ms |\n|---|---|---|---|\n{}\n{}",
        figures?,
        limits(run)?
    ))
}

fn figure(figure: &Value) -> Option<String> {
    let ms = |name: &str| figure[name].as_f64();
    let what = figure["what"].as_str()?;
    Some(format!("| {what} | {:.1} | {:.1} | {:.1} |\n", ms("p50_ms")?, ms("p95_ms")?, ms("worst_ms")?))
}
