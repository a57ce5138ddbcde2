//! All platform migrations, in order.

use rowhouse_db::migrate::Migration;

/// Migrations of every module.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    crate::modules::modules().migrations()
}
