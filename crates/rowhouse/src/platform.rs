//! All platform migrations, from the crates that own them, in their one order.

use rowhouse_db::migrate::Migration;

/// Every crate's schema.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    Migration::embedded(&[
        rowhouse_db::MIGRATIONS,
        rowhouse_auth::MIGRATIONS,
        rowhouse_tenancy::MIGRATIONS,
        rowhouse_jobs::MIGRATIONS,
        rowhouse_mail::MIGRATIONS,
    ])
}
