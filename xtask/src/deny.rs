//! Licences, sources and banned crates among everything that is compiled, by `deny.toml`, which is in cargo-deny's form
//! so that cargo-deny reads it as well. Checked here because cargo-deny takes longer to build than everything else in
//! `./test`. Leaves unused dependencies to tidy.

mod advisory;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

const POLICY: &str = "deny.toml";
/// Where every crate comes from.
const REGISTRY: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");
/// What ships is built for Linux.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// The policy.
#[derive(Debug, Default)]
struct Policy {
    /// SPDX identifiers.
    allowed: Vec<String>,
    /// Crates and why they are refused.
    banned: Vec<(String, String)>,
}

/// Prints one line per finding; true if there are none. `advisories` is a checkout of RustSec's database.
pub(crate) fn run(root: &Path, advisories: Option<&Path>) -> Result<bool> {
    let text = std::fs::read_to_string(root.join(POLICY)).with_context(|| format!("cannot read {POLICY}"))?;
    let policy = Policy::parse(&text)?;
    let mut packages = Vec::new();
    for target in TARGETS {
        packages.extend(metadata(root, target)?);
    }
    packages.sort_by_key(|package| (name(package).to_owned(), version(package).to_owned()));
    packages.dedup_by_key(|package| package["id"].clone());
    let mut findings: Vec<String> = packages.iter().flat_map(|package| policy.judge(package)).collect();
    if let Some(folder) = advisories {
        findings.extend(advisory::findings(folder, &packages)?);
    }
    for finding in &findings {
        println!("{finding}");
    }
    let more = if advisories.is_some() { "" } else { "; advisories were not asked for" };
    println!("{} packages, {} findings{more}", packages.len(), findings.len());
    Ok(findings.is_empty())
}

/// The packages that a build for `target` uses.
fn metadata(root: &Path, target: &str) -> Result<Vec<Value>> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version=1", "--locked", "--filter-platform", target]).current_dir(root);
    let output = cargo.output().context("cannot run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    let mut document: Value = serde_json::from_slice(&output.stdout)?;
    Ok(document["packages"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

fn version(package: &Value) -> &str {
    package["version"].as_str().unwrap_or_default()
}

impl Policy {
    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().with_context(|| format!("cannot understand {POLICY}"))?;
        let list = |section: &str, key: &str| {
            let list =
                table.get(section).and_then(|section| section.get(key)).and_then(toml::Value::as_array);
            list.cloned().with_context(|| format!("{POLICY} lacks the list `{section}.{key}`"))
        };
        let text = |value: &toml::Value| value.as_str().unwrap_or_default().to_owned();
        let field = |value: &toml::Value, key: &str| value.get(key).map(text).unwrap_or_default();
        Ok(Self {
            allowed: list("licenses", "allow")?.iter().map(text).collect(),
            banned: list("bans", "deny")?
                .iter()
                .map(|ban| (field(ban, "crate"), field(ban, "reason")))
                .collect(),
        })
    }

    fn judge(&self, package: &Value) -> Vec<String> {
        let found = [self.licence(package), source(package), self.ban(package)];
        let place = format!("{} {}", name(package), version(package));
        found.into_iter().flatten().map(|finding| format!("{place}: {finding}")).collect()
    }

    fn licence(&self, package: &Value) -> Option<String> {
        let Some(text) = package["license"].as_str() else { return Some("names no licence".to_owned()) };
        let parsed = spdx::Expression::parse_mode(text, spdx::ParseMode::LAX);
        let Ok(expression) = parsed else { return Some(format!("`{text}` is no SPDX expression")) };
        let allows = |request: &spdx::LicenseReq| {
            request.license.id().is_some_and(|id| self.allowed.iter().any(|allowed| allowed == id.name))
        };
        (!expression.evaluate(allows)).then(|| format!("the licence `{text}` is not allowed"))
    }

    fn ban(&self, package: &Value) -> Option<String> {
        let (_, reason) = self.banned.iter().find(|(banned, _)| banned == name(package))?;
        Some(format!("is banned: {reason}"))
    }
}

/// Ours have none; all else comes from the one registry.
fn source(package: &Value) -> Option<String> {
    let source = package["source"].as_str()?;
    (source != REGISTRY).then(|| format!("comes from `{source}`"))
}

#[cfg(test)]
mod tests;
