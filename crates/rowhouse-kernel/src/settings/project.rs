//! Top-level keys.

use super::{Check, Settings, settings, value::words};

words! {
    /// What the process may assume about its surroundings.
    pub enum Environment {
        /// A developer's machine: convenient defaults.
        Development = "development",
        /// Real users: unsafe settings are refused at boot.
        Production = "production",
    }
}

settings! {
    /// Keys outside any section.
    pub struct ProjectSettings in "" {
        /// `production` refuses to boot with any unsafe setting and names each.
        pub environment: Environment = Environment::Development,
    }
}

impl Check for ProjectSettings {}

impl Settings {
    /// Whether real users are served.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.get::<ProjectSettings>().environment == Environment::Production
    }

    /// Whether this is a developer's machine.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.get::<ProjectSettings>().environment == Environment::Development
    }
}
