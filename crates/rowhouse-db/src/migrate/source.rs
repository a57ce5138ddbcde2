//! Migrations as texts: embedded ones, and those of a project's folder.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest;

use super::{MigrateError, script};

/// One forward migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// File name without folder: `20261120093000_todos.sql`.
    pub name: String,
    /// Its text, as [`Migration::new`] leaves it.
    pub sql: String,
    /// How long it may hold others up where its head does not say.
    pub(super) standard_budget: Duration,
}

/// What a file may hold others up, where neither it nor a setting says otherwise.
pub(super) const STANDARD_BUDGET: Duration = Duration::from_secs(2);
/// The end of the name of a file that takes a migration back.
pub(super) const DOWN: &str = ".down.sql";

/// A platform migration as the crates embed it: file name and text.
pub type Statement = (&'static str, &'static str);

/// Why a migrations folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file's name does not begin with fourteen digits and an underscore.
    #[error("migrations/{0}: a migration is named YYYYMMDDHHMMSS_name.sql")]
    BadName(String),
    /// Two files carry the same time stamp.
    #[error("migrations/{0} and migrations/{1} carry the same time stamp")]
    SameTime(String, String),
    /// The folder or a file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
}

impl Migration {
    /// Normalizes a file's text: removes a byte order mark, and replaces `\r\n`, which editors and git change.
    #[must_use]
    pub fn new(name: impl Into<String>, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { name: name.into(), sql: text.replace("\r\n", "\n"), standard_budget: STANDARD_BUDGET }
    }

    /// The same, with another lock budget where its head does not say one.
    #[must_use]
    pub fn with_lock_budget(self, standard_budget: Duration) -> Self {
        Self { standard_budget, ..self }
    }

    /// Collects embedded migrations, sorted.
    #[must_use]
    pub fn embedded(groups: &[&[Statement]]) -> Vec<Self> {
        let mut all: Vec<Self> =
            groups.iter().flat_map(|group| group.iter()).map(|(name, sql)| Self::new(*name, sql)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// SHA-256 of the text, hex.
    #[must_use]
    pub fn checksum(&self) -> String {
        use std::fmt::Write as _;
        digest::digest(&digest::SHA256, self.sql.as_bytes()).as_ref().iter().fold(
            String::new(),
            |mut hex, byte| {
                let _infallible = write!(hex, "{byte:02x}");
                hex
            },
        )
    }

    /// Refuses text that cannot be run as a migration.
    pub(super) fn check(&self) -> Result<(), MigrateError> {
        let unrunnable = |line, reason| MigrateError::Unrunnable { name: self.name.clone(), line, reason };
        if let Some(bad) = self.bad_directives().into_iter().next() {
            let line = self.sql[..bad.at].matches('\n').count() + 1;
            return Err(unrunnable(line, bad.message));
        }
        let objection = script::split(&self.sql)
            .into_iter()
            .find_map(|command| Some((command.line, command.objection()?)));
        match objection {
            Some((line, reason)) => Err(unrunnable(line, reason.to_owned())),
            None => Ok(()),
        }
    }
}

/// Reads a project's `migrations/` in order; `.down.sql` files are not forward migrations. No folder: none.
///
/// # Errors
/// See [`SourceError`].
pub fn read_project(folder: &Path) -> Result<Vec<Migration>, SourceError> {
    let unreadable = |path: &Path| {
        let shown = path.display().to_string();
        move |error| SourceError::Unreadable(shown, error)
    };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut migrations = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".sql") || name.ends_with(DOWN) {
            continue;
        }
        if !is_well_named(&name) {
            return Err(SourceError::BadName(name));
        }
        let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
        migrations.push(Migration::new(name, &text));
    }
    migrations.sort_by(|a, b| a.name.cmp(&b.name));
    match migrations.windows(2).find(|pair| pair[0].name[..14] == pair[1].name[..14]) {
        Some(pair) => Err(SourceError::SameTime(pair[0].name.clone(), pair[1].name.clone())),
        None => Ok(migrations),
    }
}

/// What takes a migration back: the file `…name.down.sql` beside `…name.sql`, if there is one.
///
/// # Errors
/// [`SourceError::Unreadable`].
pub(super) fn read_down(folder: &Path, name: &str) -> Result<Option<Migration>, SourceError> {
    let name = format!("{}{DOWN}", name.trim_end_matches(".sql"));
    let path = folder.join(&name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Migration::new(name, &text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SourceError::Unreadable(path.display().to_string(), error)),
    }
}

fn is_well_named(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 19 && bytes[..14].iter().all(u8::is_ascii_digit) && bytes[14] == b'_'
}

#[cfg(test)]
mod tests;
