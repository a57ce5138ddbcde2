#![doc = include_str!("../README.md")]

mod calls;
mod command;
pub mod error;
pub mod export;
mod flow;
mod inviter;
pub mod limit;
pub mod membership;
mod module;
pub mod permission;
mod route;
pub mod sealed;
mod settings;
pub mod slot;
mod store;
pub mod user_sync;

use rowhouse_db::migrate::Statement;

pub use command::API_KEYS;
pub use inviter::Inviter;
pub use module::TenancyModule;
pub use settings::TenancySettings;

macro_rules! migrations {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../migrations/", $name)))),*] };
}

/// Platform migrations of this crate.
pub const MIGRATIONS: &[Statement] = migrations![
    "20261121000200_tenancy_core.sql",
    "20261121000210_tenancy_roles.sql",
    "20261121000220_tenancy_rules.sql",
    "20261121000230_tenancy_sign_up.sql",
    "20261121000300_tenancy_live_session.sql",
    "20261121000400_tenancy_protect.sql",
    "20261121000500_tenancy_limits.sql",
    "20261121000658_tenancy_jobs.sql",
    "20261127110300_tenancy_live_role.sql",
    "20261127120001_tenancy_comments.sql",
    "20261127160200_tenancy_membership.sql",
    "20261128100100_tenancy_operators.sql",
    "20261128100200_tenancy_modules.sql",
    "20261128100300_tenancy_views.sql",
    "20261128100400_tenancy_grants.sql",
    "20261128101000_tenancy_api_keys.sql",
    "20261128101100_tenancy_invitations.sql",
    "20261128101200_tenancy_organization_domains.sql",
    "20261128104100_tenancy_audit.sql",
    "20261128110000_tenancy_products.sql",
    "20261128110010_tenancy_entitlements.sql",
    "20261128110020_tenancy_applications.sql",
    "20261128111000_tenancy_lifecycle.sql",
    "20261128111010_tenancy_erasure.sql",
    "20261128111100_tenancy_plans.sql",
    "20261128111110_tenancy_usage.sql",
    "20261128111200_tenancy_settings.sql",
    "20261128111300_tenancy_export.sql",
    "20261128113020_tenancy_provision.sql",
    "20261128113050_tenancy_last_owner.sql",
];

/// Adds the reference checks that newly added foreign keys between tenant tables need, as the project's owner.
/// Called after project migrations and schema reloads. Returns how many were added.
///
/// # Errors
/// The database's.
pub async fn refresh_references(client: &tokio_postgres::Client) -> Result<i32, rowhouse_db::DbError> {
    let added: i32 = client.query_one("select tenancy.refresh_references()", &[]).await?.get(0);
    if added > 0 {
        tracing::info!(added, "tenant checks added to foreign keys");
    }
    Ok(added)
}
