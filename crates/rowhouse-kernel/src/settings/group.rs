//! What every settings group can say of itself, so that a list of modules is enough to read, check and document a
//! configuration. Leaves the groups to the crates whose behaviour they set.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::time::Duration;

use super::{Field, Settings, Source, Sources, Translation};
use crate::Secret;

/// Longer spans overflow dates somewhere.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// One section of `rowhouse.toml`; implemented by [`settings!`](crate::settings!).
pub trait Group: Any + Clone + Debug + Default + Send + Sync {
    /// The section's name; empty for top-level keys.
    const SECTION: &'static str;
    /// The section's meaning, as documented.
    const ABOUT: &'static str;

    /// Every field with its documentation, for the reference page.
    fn fields() -> Vec<Field>;

    /// The values as a person would write them, by field; secrets are masked.
    fn values(&self) -> Vec<(&'static str, String)>;

    /// Reads the section; mistakes are collected in `sources`, and the default stands in.
    fn load(sources: &mut Sources) -> Self;
}

/// What a group makes of its values beyond each one's own form.
pub trait Check: Group {
    /// Variables that other tools set and that stand for a key beside its own: (variable, key).
    const ALIASES: &'static [(&'static str, &'static str)] = &[];

    /// What production refuses, for the reference page: (key, what). Decided by [`production`](Self::production), and by
    /// the rules for [`secrets`](Self::secrets).
    const REFUSED: &'static [(&'static str, &'static str)] = &[];

    /// What the variables of another tool mean here, in whatever group.
    #[must_use]
    fn translate(_variables: &BTreeMap<String, String>) -> Translation {
        Translation::default()
    }

    /// `up` in development: makes comfortable what nobody has set.
    fn development(&mut self, _given: &Given<'_>) {}

    /// Notes values that nothing could work with.
    fn check(&self, _findings: &mut Findings<'_>) {}

    /// Notes values that are unsafe with real users.
    fn production(&self, _all: &Settings, _findings: &mut Findings<'_>) {}

    /// Secrets that the operator makes up: production demands length and that none serves twice.
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        Vec::new()
    }

    /// Passwords that others check, such as those inside URLs: none may serve as a secret as well.
    fn passwords(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// Which settings somebody has given.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    section: &'static str,
    sources: &'a Sources,
}

impl Given<'_> {
    /// Whether the key still has the built-in default.
    #[must_use]
    pub fn is_default(&self, key: &str) -> bool {
        self.sources.source(self.section, key) == Some(&Source::Default)
    }
}

/// Collects what is wrong with one group.
#[derive(Debug)]
pub struct Findings<'a> {
    section: &'static str,
    found: &'a mut Vec<String>,
}

impl<'a> Findings<'a> {
    /// Findings of `section`, written behind those in `found`.
    pub fn new(section: &'static str, found: &'a mut Vec<String>) -> Self {
        Self { section, found }
    }

    /// Notes that a key's value cannot stand.
    pub fn refuse(&mut self, key: &str, problem: impl Display) {
        let name = super::source::dotted(self.section, key);
        self.found.push(format!("{name}: {problem}"));
    }

    /// Notes a span that is nothing at all, or too long for any clock.
    pub fn positive_span(&mut self, key: &str, span: Duration) {
        if span.is_zero() {
            self.refuse(key, "must be longer than nothing");
        }
        self.span(key, span);
    }

    /// Notes a span that is too long for any clock; none at all is allowed.
    pub fn span(&mut self, key: &str, span: Duration) {
        if span > LONGEST {
            self.refuse(key, "must not exceed ten years");
        }
    }
}

/// A group without its type: what a module declares.
#[derive(Debug, Clone, Copy)]
pub struct GroupSpec {
    /// The section's name.
    pub section: &'static str,
    /// The section's meaning.
    pub about: &'static str,
    /// Every field.
    pub fields: fn() -> Vec<Field>,
    /// Variables that stand for a key beside its own: (variable, key).
    pub aliases: &'static [(&'static str, &'static str)],
    /// What production refuses: (key, what).
    pub refused: &'static [(&'static str, &'static str)],
    pub(super) translate: fn(&BTreeMap<String, String>) -> Translation,
    pub(super) values: fn(&Settings) -> Vec<(String, String)>,
    pub(super) load: fn(&mut Sources, &mut Settings),
    pub(super) check: fn(&Settings, &mut Vec<String>),
    pub(super) development: fn(&mut Settings, &Sources),
    pub(super) production: fn(&Settings, &mut Vec<String>),
    pub(super) secrets: fn(&Settings) -> Vec<(String, Secret)>,
    pub(super) passwords: fn(&Settings) -> Vec<(String, String)>,
}

impl GroupSpec {
    /// Describes `G`.
    #[must_use]
    pub fn of<G: Check>() -> Self {
        Self {
            section: G::SECTION,
            about: G::ABOUT,
            fields: G::fields,
            aliases: G::ALIASES,
            refused: G::REFUSED,
            translate: G::translate,
            values: |settings| {
                let named = |(key, value): (&str, String)| (super::source::dotted(G::SECTION, key), value);
                settings.get::<G>().values().into_iter().map(named).collect()
            },
            load: |sources, settings| settings.put(G::load(sources)),
            check: |settings, found| settings.get::<G>().check(&mut Findings::new(G::SECTION, found)),
            development: |settings, sources| {
                settings.update(|group: &mut G| group.development(&Given { section: G::SECTION, sources }));
            },
            production: |settings, found| {
                settings.get::<G>().production(settings, &mut Findings::new(G::SECTION, found));
            },
            secrets: |settings| {
                let group = settings.get::<G>();
                let named =
                    |(key, secret): (&str, &Secret)| (super::source::dotted(G::SECTION, key), secret.clone());
                group.secrets().into_iter().map(named).collect()
            },
            passwords: |settings| {
                let named =
                    |(key, password): (&str, String)| (super::source::dotted(G::SECTION, key), password);
                settings.get::<G>().passwords().into_iter().map(named).collect()
            },
        }
    }
}
