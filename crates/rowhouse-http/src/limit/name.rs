//! Names of limits. Processes and limits share one store, so a name has one meaning in the whole product; tidy checks that
//! each is made once.

use std::fmt;

/// The name of a limit, such as `signin`: in the keys of its counters and in the `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitName(&'static str);

impl LimitName {
    /// Lower-case letters, digits, `-` and `_`; no two limits have the same.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
