//! A hundred tenants, and random requests over every surface: rows of others that were seen or changed.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::evidence::Evidence;
use super::property::test;

/// `./test` sends 1,500.
const REQUESTS: &str = "100000";
const TEST: (&str, &str, &str) =
    ("rowhouse", "crowd::no_row_of_another_tenant_is_seen_or_changed_by_random_requests", "crowd: ");

/// True if there were none.
pub(super) fn run(root: &Path, seed: u64) -> Result<bool> {
    let seed = seed.to_string();
    let said = test(root, TEST, &[("ROWHOUSE_CROWD_REQUESTS", REQUESTS), ("ROWHOUSE_CROWD_SEED", &seed)])?;
    let holds = said.is_some();
    let figures: Value = serde_json::from_str(&said.unwrap_or_default()).unwrap_or_default();
    let parameters = json!({ "requests": REQUESTS, "seed": seed });
    Evidence { name: "tenants", only: "tenants", parameters, holds, figures }.write(root)?;
    Ok(holds)
}
