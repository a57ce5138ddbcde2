#![doc = include_str!("../README.md")]

mod bootstrap;
pub mod catalog;
mod connect;
mod control;
mod database;
pub mod embedded;
mod error;
pub mod flight;
mod listen;
mod liveness;
pub mod migrate;
pub mod replication;
pub mod scratch;
mod session;
mod settings;
mod tls;
pub mod url;

pub use bootstrap::{
    Adopted, BootstrapError, LoginError, Logins, NotPrepared, Shared, Sharing, Unprepared, adopt,
    apply_default_grants, bootstrap, prepare_scratch, require_prepared, require_sign_in, restore_logins,
    set_passwords,
};
pub use connect::{
    PoolerError, connect, connect_to, require_control_sessions, require_data_sessions, require_sessions,
};
pub use control::{Batched, Control, OwnSession, Transaction, TransactionError};
pub use database::{Database, DatabaseUrls};
pub use error::{DbError, PgError, Reason};
pub use flight::{DataPlane, DataPlaneUrls, Lookups};
pub use listen::{Following, Heard, ListenHub, follow};
pub use liveness::{Health, Liveness};
pub use settings::{DbSettings, DefaultGrants};

/// Platform migrations of this crate: functions that its own queries call.
pub const MIGRATIONS: &[migrate::Statement] = &[
    ("20261121000000_rowhouse_core.sql", include_str!("../migrations/20261121000000_rowhouse_core.sql")),
    ("20261127090000_generic_plan.sql", include_str!("../migrations/20261127090000_generic_plan.sql")),
    ("20261127100000_clear_session.sql", include_str!("../migrations/20261127100000_clear_session.sql")),
    ("20261127130000_processes.sql", include_str!("../migrations/20261127130000_processes.sql")),
    ("20261127130010_disk_probe.sql", include_str!("../migrations/20261127130010_disk_probe.sql")),
    (
        "20261127140000_idempotency_keys.sql",
        include_str!("../migrations/20261127140000_idempotency_keys.sql"),
    ),
    ("20261127180000_installation.sql", include_str!("../migrations/20261127180000_installation.sql")),
    ("20261128090000_find_api_key.sql", include_str!("../migrations/20261128090000_find_api_key.sql")),
    (
        "20261128160000_backup_heartbeat.sql",
        include_str!("../migrations/20261128160000_backup_heartbeat.sql"),
    ),
    ("20261128160010_backup_state.sql", include_str!("../migrations/20261128160010_backup_state.sql")),
];
