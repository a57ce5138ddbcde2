//! The repository in memory, as input of the rules.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

/// Skipped: version control (in a second work tree a file), build output, installed packages, a project's own state.
const SKIPPED: &[&str] = &[".git", "target", "node_modules", ".rowhouse"];

/// Every text file by its path from the root, with `/` between the parts.
#[derive(Debug, Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the repository at `root`. A file that is not UTF-8 is known by name only.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else {
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                self.files.insert(path, String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// A tree made of strings, for tests.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// Every file, in the order of paths.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every file whose name ends so.
    pub(super) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter(move |(path, _)| path.ends_with(end))
    }

    /// The text at exactly this path.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether a file or a folder of this path exists; `*` inside a part stands for anything but `/`.
    pub(super) fn has(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        if wanted == [""] {
            return true;
        }
        self.files.keys().any(|file| {
            let mut parts = file.split('/');
            wanted.iter().all(|pattern| parts.next().is_some_and(|part| matches(pattern, part)))
        })
    }
}

/// Whether `part` fits `pattern`, in which each `*` stands for any text.
fn matches(pattern: &str, part: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == part };
    let Some(tail) = part.strip_prefix(head) else { return false };
    (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))
}
