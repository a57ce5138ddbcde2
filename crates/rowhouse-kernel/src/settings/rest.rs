//! `[rest]`: the data API.

use super::{settings, value::words};

words! {
    /// What `anon` and `authenticated` may do with new tables of the project.
    pub enum DefaultGrants {
        /// Nothing until a migration grants it.
        None = "none",
        /// Everything, as on Supabase; row-level security is then the only fence.
        Supabase = "supabase",
    }
}

settings! {
    /// The data API under `/rest/v1`.
    pub struct RestSettings in "rest" {
        /// Schemas served; the first is the default.
        pub schemas: Vec<String> = vec!["public".to_owned()],
        /// Most rows that one response carries; unset: no limit.
        pub max_rows: Option<u64> = None,
        /// Default privileges on the project's new tables: `none`, or `supabase` for its wide grants.
        pub default_grants: DefaultGrants = DefaultGrants::None,
        /// Largest request body in bytes.
        pub max_body_bytes: u64 = 52_428_800,
        /// Deepest nesting of arrays and objects in a JSON body.
        pub max_json_depth: u32 = 512,
    }
}
