//! Migrations as texts: embedded ones, and those of a project's folder.

use std::path::Path;

use aws_lc_rs::digest;

/// One forward migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// File name without folder: `20261120093000_todos.sql`.
    pub name: String,
    /// Its text.
    pub sql: String,
}

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
    /// Takes embedded texts and puts them into their one order.
    #[must_use]
    pub fn embedded(groups: &[&[Statement]]) -> Vec<Self> {
        let mut all: Vec<Self> = groups
            .iter()
            .flat_map(|group| group.iter())
            .map(|(name, sql)| Self { name: (*name).to_owned(), sql: (*sql).to_owned() })
            .collect();
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

    /// False when the text's first line is `-- rowhouse: no-transaction`, as `create index concurrently` needs.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.sql.lines().next().is_none_or(|line| line.trim() != "-- rowhouse: no-transaction")
    }

    /// The line, from 1, of a character position that PostgreSQL reported.
    pub(super) fn line_at(&self, position: &tokio_postgres::error::ErrorPosition) -> Option<usize> {
        let tokio_postgres::error::ErrorPosition::Original(position) = position else { return None };
        let before = usize::try_from(*position).ok()?.saturating_sub(1);
        Some(self.sql.chars().take(before).filter(|c| *c == '\n').count() + 1)
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
        if !name.ends_with(".sql") || name.ends_with(".down.sql") {
            continue;
        }
        if !is_well_named(&name) {
            return Err(SourceError::BadName(name));
        }
        let sql = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
        migrations.push(Migration { name, sql });
    }
    migrations.sort_by(|a, b| a.name.cmp(&b.name));
    match migrations.windows(2).find(|pair| pair[0].name[..14] == pair[1].name[..14]) {
        Some(pair) => Err(SourceError::SameTime(pair[0].name.clone(), pair[1].name.clone())),
        None => Ok(migrations),
    }
}

fn is_well_named(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 19 && bytes[..14].iter().all(u8::is_ascii_digit) && bytes[14] == b'_'
}

#[cfg(test)]
mod tests;
