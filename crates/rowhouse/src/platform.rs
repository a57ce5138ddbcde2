//! All platform migrations, from the modules that own them, in their one order.

use rowhouse_db::migrate::Migration;

/// Every module's schema.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    crate::modules::modules().migrations()
}
