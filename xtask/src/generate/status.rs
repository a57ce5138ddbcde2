//! The table of what works in `README.md`, composed from `docs/status/<capability>.md`: one short line each.
//! Leaves the long form to those pages, to which the table links.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::fragment::{Fragment, read_folder};

pub(super) const README: &str = "README.md";
const FOLDER: &str = "docs/status";
const BEGIN: &str = "<!-- Composed by `cargo xtask gen` from docs/status. Edit those. -->\n";
const END: &str = "<!-- End of the composed part. -->";
/// Characters of a cell: what a screen shows in one or two lines.
const CELL: usize = 110;
/// The middle cell of a capability that does not exist; such rows come last.
const NOTHING_YET: &str = " | – | ";

/// The current README.
pub(super) fn page(root: &Path) -> Result<String> {
    let page = std::fs::read_to_string(root.join(README)).context("cannot read README.md")?;
    compose(&page, &read_folder(root, FOLDER)?)
}

/// `page` with the part between the markers replaced by a row for each fragment.
fn compose(page: &str, fragments: &[Fragment]) -> Result<String> {
    let (head, rest) =
        page.split_once(BEGIN).with_context(|| format!("README.md lacks the line `{BEGIN}`"))?;
    let (_, tail) = rest.split_once(END).with_context(|| format!("README.md lacks the line `{END}`"))?;
    let mut rows = fragments.iter().map(row).collect::<Result<Vec<String>>>()?;
    rows.sort_by_key(|row| row.contains(NOTHING_YET));
    let rows = rows.concat();
    Ok(format!("{head}{BEGIN}| | today | not yet |\n|---|---|---|\n{rows}{END}{tail}"))
}

/// A fragment opens with `# Name`, then `today: …` and `not yet: …`; the rest is for readers of that page.
fn row(fragment: &Fragment) -> Result<String> {
    let mut lines = fragment.text.lines().filter(|line| !line.trim().is_empty());
    let mut next = |marker: &str| {
        let line = lines.next().and_then(|line| line.strip_prefix(marker));
        line.map(str::trim).with_context(|| {
            format!("{}: opens with the lines `# Name`, `- today: …` and `- not yet: …`", fragment.path)
        })
    };
    let (name, today, missing) = (next("# ")?, next("- today:")?, next("- not yet:")?);
    for cell in [name, today, missing] {
        ensure!(
            cell.chars().count() <= CELL,
            "{}: `{cell}` is longer than {CELL} characters; say the rest below",
            fragment.path
        );
    }
    Ok(format!("| [{name}]({FOLDER}/{}.md) | {today} | {missing} |\n", fragment.topic()))
}

#[cfg(test)]
mod tests;
