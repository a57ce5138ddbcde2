//! The schema that tests find in the tree is the one that the program brings along.

use rowhouse_db::migrate::Migration;

#[test]
fn every_migration_in_the_tree_belongs_to_a_module() {
    let listed = |all: Vec<Migration>| -> Vec<(String, String)> {
        all.into_iter().map(|migration| (migration.name.to_string(), migration.checksum())).collect()
    };
    assert_eq!(listed(rowhouse::platform::migrations()), listed(rowhouse_testkit::platform_migrations()));
}
