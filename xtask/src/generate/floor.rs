//! The table of floors in `ARCHITECTURE.md`, composed from the crates' manifests: floor, name and responsibility of each.
//! Leaves checking dependencies to `tidy`.

use std::path::Path;

use anyhow::{Context, Result};

pub(super) const MAP: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- Composed by `cargo xtask gen` from the manifests. Edit those. -->\n";
const END: &str = "<!-- End of the composed part. -->";
const OWN: &str = "| beside | `xtask` | development commands: tidy rules, generated pages, measurements, long campaigns |\n";

/// The current page.
pub(super) fn page(root: &Path) -> Result<String> {
    let page = std::fs::read_to_string(root.join(MAP)).context("cannot read ARCHITECTURE.md")?;
    let (head, rest) = page.split_once(BEGIN).with_context(|| format!("{MAP} lacks the line `{BEGIN}`"))?;
    let (_, tail) = rest.split_once(END).with_context(|| format!("{MAP} lacks the line `{END}`"))?;
    let mut rows = std::fs::read_dir(root.join("crates"))?
        .map(|folder| row(&folder?.path().join("Cargo.toml")))
        .collect::<Result<Vec<(u64, String)>>>()?;
    rows.sort();
    let rows: String = rows.into_iter().map(|(_, row)| row).collect();
    Ok(format!("{head}{BEGIN}| floor | crate | responsibility |\n|---|---|---|\n{rows}{OWN}{END}{tail}"))
}

/// A row and its floor; development tools come last.
fn row(path: &Path) -> Result<(u64, String)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("{} is no TOML", path.display()))?;
    let package = manifest.get("package").with_context(|| format!("{} has no package", path.display()))?;
    let said = |key: &str| {
        let value = package.get(key).and_then(toml::Value::as_str);
        value.with_context(|| format!("{}: package.{key} is missing", path.display()))
    };
    let floor = package.get("metadata").and_then(|metadata| metadata.get("rowhouse")?.get("floor"));
    let floor = floor.and_then(toml::Value::as_integer).and_then(|floor| u64::try_from(floor).ok());
    let shown = floor.map_or("beside".to_owned(), |floor| floor.to_string());
    let row = format!("| {shown} | `{}` | {} |\n", said("name")?, said("description")?);
    Ok((floor.unwrap_or(u64::MAX), row))
}
