//! Top-level keys.

use super::{settings, value::words};

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
