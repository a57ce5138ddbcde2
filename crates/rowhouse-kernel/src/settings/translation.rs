//! What the configuration of another tool means in settings of this program. Leaves knowing that tool to the group that
//! stands in its place.

/// One setting of this program as another tool's configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// Our group and key.
    pub key: (&'static str, &'static str),
    /// The value as a variable of ours would hold it; what is wrong with a file that should hold it.
    pub text: Result<String, String>,
    /// The name under which it was given.
    pub origin: String,
}

/// Another tool's configuration in our words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Translation {
    /// What has a setting here.
    pub given: Vec<Translated>,
    /// What has none, each with its name and what to do.
    pub notes: Vec<String>,
}

impl Translation {
    pub(super) fn find(&self, section: &str, key: &str) -> Option<&Translated> {
        self.given.iter().find(|given| given.key == (section, key))
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.given.extend(other.given);
        self.notes.extend(other.notes);
    }
}
