#![doc = include_str!("../README.md")]

mod act_as;
mod answer;
mod api_key;
mod claims;
mod fault;
mod flow;
mod hasher;
mod key_store;
mod limit;
mod live;
mod model;
mod module;
mod policy;
mod refusal;
mod request;
mod rotation;
mod route;
mod state;
mod store;

pub use act_as::{ActAs, ActAsError, caller};
pub use key_store::{API_KEY_LIFETIME, KeyInfo, KeyStore, KeyStoreError};
pub use module::AuthModule;
pub use route::{router, well_known_router};
pub use state::{Auth, AuthParts};

/// Platform migrations of this crate: schema `auth`.
pub const MIGRATIONS: &[rowhouse_db::migrate::Statement] = &[
    ("20261121000100_auth_core.sql", include_str!("../migrations/20261121000100_auth_core.sql")),
    ("20261121000150_auth_audit.sql", include_str!("../migrations/20261121000150_auth_audit.sql")),
    ("20261121000657_auth_prune.sql", include_str!("../migrations/20261121000657_auth_prune.sql")),
];
