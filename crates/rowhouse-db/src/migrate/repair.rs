//! Invalid indexes, which a `create index concurrently` leaves that failed or was killed: they cost each write and serve no
//! query, and `if not exists` takes them for the index that was meant.

use tokio_postgres::Client;

use super::Migration;
use super::ledger::MigrationKind;
use super::script::{split, words};

/// Drops those that the file makes again; one that is being built stays.
pub(super) async fn drop_invalid_indexes(
    client: &Client,
    migration: &Migration,
) -> Result<(), tokio_postgres::Error> {
    let names: Vec<String> =
        split(&migration.sql).iter().filter_map(|command| made_index(command.text)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let role = MigrationKind::Project.role();
    let rows = client.query(include_str!("../../sql/invalid_indexes.sql"), &[&names, &role]).await?;
    for row in rows {
        let index: String = row.get(0);
        tracing::warn!("{index} was left invalid by a run that failed; it is dropped and made again");
        client.batch_execute(&format!("set role {role}")).await?;
        client.batch_execute(&format!("drop index concurrently if exists {index}")).await?;
    }
    client.batch_execute("reset role").await
}

/// The name after `create [unique] index concurrently [if not exists]`; one in quotes is not recognized.
fn made_index(sql: &str) -> Option<String> {
    let words: Vec<String> = words(sql).map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let rest = match words.as_slice() {
        ["create", "index", "concurrently", rest @ ..] => rest,
        ["create", "unique", "index", "concurrently", rest @ ..] => rest,
        _ => return None,
    };
    match rest {
        ["if", "not", "exists", name, ..] => Some((*name).to_owned()),
        ["on", ..] | [] => None,
        [name, ..] => Some((*name).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_concurrent_index_is_found() {
        let name = |sql| made_index(sql);
        assert_eq!(name("create index concurrently A_idx on a (b)").as_deref(), Some("a_idx"));
        assert_eq!(
            name("create unique index concurrently if not exists a_idx on a (b)").as_deref(),
            Some("a_idx")
        );
        assert_eq!(name("create index concurrently on a (b)"), None);
        assert_eq!(name("create index a_idx on a (b)"), None);
    }
}
