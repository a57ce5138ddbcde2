//! How settings are declared and read: a group is a section of `rowhouse.toml`, each field stating meaning and default.
//!
//! A group is written once with `settings!`; loading, `config explain` and the reference page in `docs/`
//! all read that one definition. Leaves finding the file and the environment to the binary.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

mod group;
mod named;
mod production;
mod project;
mod source;
mod translation;
mod value;

pub use group::{Check, Findings, Given, Group, GroupSpec};
pub use named::{Entry, Fields, Named, is_plain_name};
pub use production::{SHORTEST_SECRET, WEAK_SECRET, unsafe_settings};
pub use project::{Environment, ProjectSettings};
pub use source::{Effective, Field, Source, Sources};
pub use translation::{Translated, Translation};
pub use value::Setting;

/// Declares a settings group: the struct, its defaults, its field table and its loader.
///
/// `pub max_rows: u64 as "rows" = 100` names the unit of a number for the reference page.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident in $section:literal {
            $( $(#[doc = $fdoc:literal])* pub $field:ident: $ty:ty $(as $unit:literal)? = $default:expr, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $name { $( $(#[doc = $fdoc])* pub $field: $ty, )* }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::settings::Group for $name {
            const SECTION: &'static str = $section;
            const ABOUT: &'static str = concat!($($doc, "
",)*);

            fn fields() -> Vec<$crate::settings::Field> {
                vec![ $( $crate::settings::Field::new::<$ty>(
                    $section, stringify!($field), concat!($($fdoc, "
",)*), concat!($($unit)?), &$default), )* ]
            }

            fn values(&self) -> Vec<(&'static str, String)> {
                vec![ $( (stringify!($field), $crate::settings::Setting::show(&self.$field)), )* ]
            }

            fn load(sources: &mut $crate::settings::Sources) -> Self {
                Self { $( $field: sources.read($section, stringify!($field), $default), )* }
            }
        }
    };
}
pub(crate) use settings;

/// The values of all groups, each found by its type. A group that no module has declared has its defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Settings {
    /// Reads every group from `sources` and returns all mistakes at once, each naming its key.
    ///
    /// # Errors
    /// The list of mistakes, if there is any: wrong types, unknown keys, unreadable secret files, values that cannot work.
    pub fn load(groups: &[GroupSpec], sources: &mut Sources) -> Result<Self, Vec<String>> {
        let (settings, mistakes) = Self::read(groups, sources);
        if mistakes.is_empty() { Ok(settings) } else { Err(mistakes) }
    }

    /// The same for whoever looks for further mistakes: a key that could not be read has its default.
    #[must_use]
    pub fn read(groups: &[GroupSpec], sources: &mut Sources) -> (Self, Vec<String>) {
        let mut settings = Self::default();
        for group in groups {
            sources.add_aliases(group.section, group.aliases);
            sources.translate(group.translate);
        }
        groups.iter().for_each(|group| (group.load)(sources, &mut settings));
        sources.refuse_unknown_keys();
        let mut mistakes = sources.take_mistakes();
        groups.iter().for_each(|group| (group.check)(&settings, &mut mistakes));
        (settings, mistakes)
    }

    /// The group `G`.
    #[must_use]
    pub fn get<G: Group>(&self) -> Arc<G> {
        let known = self.0.get(&TypeId::of::<G>()).and_then(|group| Arc::clone(group).downcast().ok());
        known.unwrap_or_default()
    }

    /// Sets the group `G`.
    pub fn put<G: Group>(&mut self, group: G) {
        self.0.insert(TypeId::of::<G>(), Arc::new(group));
    }

    /// Changes the group `G`.
    pub fn update<G: Group>(&mut self, change: impl FnOnce(&mut G)) {
        let mut group = (*self.get::<G>()).clone();
        change(&mut group);
        self.put(group);
    }

    /// Every value as a person would write it, by its dotted name; secrets are masked.
    #[must_use]
    pub fn values(&self, groups: &[GroupSpec]) -> BTreeMap<String, String> {
        groups.iter().flat_map(|group| (group.values)(self)).collect()
    }

    /// Applies the development defaults of `up` to keys that nobody has set.
    pub fn apply_development_defaults(&mut self, groups: &[GroupSpec], sources: &Sources) {
        groups.iter().for_each(|group| (group.development)(self, sources));
    }
}

#[cfg(test)]
mod tests;
