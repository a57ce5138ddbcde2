//! Small files from which a page is composed. Leaves their meaning to the page.

use std::path::Path;

use anyhow::{Context, Result};

/// One file.
#[derive(Debug)]
pub(super) struct Fragment {
    /// From the repository's root.
    pub(super) path: String,
    pub(super) text: String,
}

impl Fragment {
    #[cfg(test)]
    pub(super) fn of(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The file's name without its ending.
    pub(super) fn topic(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".md")
    }
}

/// Every Markdown file of a folder but its README, in the order of names; none if there is no such folder.
pub(super) fn read_folder(root: &Path, folder: &str) -> Result<Vec<Fragment>> {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return Ok(Vec::new()) };
    let mut fragments = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != "README.md" {
            let path = format!("{folder}/{name}");
            let text =
                std::fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
            fragments.push(Fragment { path, text });
        }
    }
    fragments.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(fragments)
}
