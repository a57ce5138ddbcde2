//! What the directives in the comments at a file's head mean: `-- rowhouse: NAME …`. Leaves those that mean nothing to
//! `directive`, and waivers of lint to lint.

use std::time::Duration;

use super::Migration;

/// Prefix of a directive.
pub(super) const DIRECTIVE: &str = "-- rowhouse:";

/// Which part a migration has in a change that old and new programs both survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Adds what the next release needs; the one that runs does not notice.
    Expand,
    /// Fills what was added.
    Backfill,
    /// Makes the new form the one that counts.
    Switch,
    /// Takes away what no release uses any more.
    Contract,
}

impl Phase {
    /// The word in a file's head.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Switch => "switch",
            Self::Contract => "contract",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Expand, Self::Backfill, Self::Switch, Self::Contract]
            .into_iter()
            .find(|phase| phase.as_str() == text)
    }
}

impl Migration {
    /// False when the head says `-- rowhouse: no-transaction`, as `create index concurrently` needs, or `repeat`.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.directives().all(|(_, words)| words != "no-transaction") && self.repeat_pause().is_none()
    }

    /// The pause between two batches, where each statement is repeated until it changes no row: `-- rowhouse: repeat 100ms`.
    #[must_use]
    pub fn repeat_pause(&self) -> Option<Duration> {
        self.values("repeat").find_map(|(_, text)| duration(text))
    }

    /// Extensions that the header requests: `-- rowhouse: extension postgis`.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        self.values("extension").map(|(_, name)| name)
    }

    /// Conditions in SQL that are to be true once it is applied: `-- rowhouse: verify not exists (select from todos where title is null)`.
    pub fn conditions(&self) -> impl Iterator<Item = (usize, &str)> {
        self.values("verify")
    }

    /// Queries that are to succeed after each run: `-- rowhouse: smoke select count(*) from todos`.
    pub fn smokes(&self) -> impl Iterator<Item = (usize, &str)> {
        self.values("smoke")
    }

    /// The phase that it names.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        self.values("phase").find_map(|(_, name)| Phase::parse(name))
    }

    /// Whether it says that it can be taken back; none if it says nothing.
    #[must_use]
    pub fn reversible(&self) -> Option<bool> {
        self.values("reversible").map(|(_, answer)| answer == "yes").next()
    }

    /// How long it may hold others up.
    #[must_use]
    pub fn lock_budget(&self) -> Duration {
        self.values("lock-budget").find_map(|(_, text)| duration(text)).unwrap_or(self.standard_budget)
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        self.directives().filter_map(move |(line, words)| {
            let value = words.strip_prefix(name)?.strip_prefix(' ')?;
            Some((line, value.trim()))
        })
    }

    /// The directives, with their line numbers.
    fn directives(&self) -> impl Iterator<Item = (usize, &str)> {
        self.head().enumerate().filter_map(|(at, line)| Some((at + 1, line.strip_prefix(DIRECTIVE)?.trim())))
    }

    /// The first lines, as long as they are comments.
    pub(super) fn head(&self) -> impl Iterator<Item = &str> {
        self.sql.lines().take_while(|line| line.starts_with("--"))
    }
}

/// Whether a directive with these words means something.
pub(super) fn is_known(words: &str) -> bool {
    let (name, value) = words.split_once(' ').unwrap_or((words, ""));
    let value = value.trim();
    match name {
        "no-transaction" => value.is_empty(),
        "extension" => is_extension_name(value),
        "verify" | "smoke" | "allow" => !value.is_empty(),
        "phase" => Phase::parse(value).is_some(),
        "reversible" => value == "yes" || value == "no",
        "lock-budget" | "repeat" => duration(value).is_some(),
        _ => false,
    }
}

fn is_extension_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `2s` or `500ms`, more than nothing.
fn duration(text: &str) -> Option<Duration> {
    let of = |number: &str| number.trim().parse::<u32>().ok().filter(|number| *number > 0).map(u64::from);
    match text.strip_suffix("ms") {
        Some(number) => of(number).map(Duration::from_millis),
        None => of(text.strip_suffix('s')?).map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_from_the_head() {
        let sql = "-- rowhouse: phase contract\n-- why\n-- rowhouse: reversible no\n-- rowhouse: lock-budget 500ms\n\
            -- rowhouse: smoke select 1\n\n-- rowhouse: phase expand\nselect 1;";
        let file = Migration::new("20260101000000_a.sql", sql);
        assert_eq!((file.phase(), file.reversible()), (Some(Phase::Contract), Some(false)));
        assert_eq!(file.lock_budget(), Duration::from_millis(500));
        assert_eq!(file.smokes().collect::<Vec<_>>(), [(5, "select 1")]);
        let bare = Migration::new("20260101000000_a.sql", "select 1;");
        assert_eq!(
            (bare.phase(), bare.reversible(), bare.lock_budget()),
            (None, None, Duration::from_secs(2))
        );
    }
}
