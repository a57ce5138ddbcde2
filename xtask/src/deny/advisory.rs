//! Known vulnerabilities, from a checkout of RustSec's advisory database. Nothing is fetched here.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use semver::{Version, VersionReq};
use serde_json::Value;

use super::{name, version};

/// One line per package version that is affected by an advisory.
pub(super) fn findings(folder: &Path, packages: &[Value]) -> Result<Vec<String>> {
    let crates = folder.join("crates");
    ensure!(crates.is_dir(), "{} holds no advisory database: it has no folder `crates`", folder.display());
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| package["source"].is_string()) {
        let Ok(entries) = std::fs::read_dir(crates.join(name(package))) else { continue };
        for entry in entries {
            let path = entry?.path();
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if let Some(title) = affects(&text, version(package))? {
                let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                findings.push(format!("{} {}: {id} {title}", name(package), version(package)));
            }
        }
    }
    findings.sort();
    Ok(findings)
}

/// The title of an advisory that affects `version`. Its head is TOML in a fenced block, then comes Markdown.
pub(super) fn affects(text: &str, version: &str) -> Result<Option<String>> {
    let head =
        text.split("```").nth(1).and_then(|block| block.strip_prefix("toml")).context("no TOML head")?;
    let table: toml::Table = head.parse()?;
    let of = |section: &str, key: &str| table.get(section).and_then(|section| section.get(key));
    if of("advisory", "withdrawn").is_some() || of("advisory", "informational").is_some() {
        return Ok(None);
    }
    let version = Version::parse(version)?;
    for key in ["patched", "unaffected"] {
        let ranges = of("versions", key).and_then(toml::Value::as_array).into_iter().flatten();
        for range in ranges.filter_map(toml::Value::as_str) {
            if VersionReq::parse(range)?.matches(&version) {
                return Ok(None);
            }
        }
    }
    let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default();
    Ok(Some(title.to_owned()))
}
