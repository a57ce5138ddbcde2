//! What a caller sees by plain SQL, and whether an answer stays within it.

use std::collections::HashMap;

use rowhouse_kernel::Caller;
use rowhouse_testkit::TestDatabase;
use serde_json::Value;
use tokio_postgres::NoTls;

use super::grammar::{Node, key};

const TABLES: [&str; 5] = ["notes", "projects", "people", "tags", "notes_tags"];

/// The rows that one caller sees, by table and key.
#[derive(Debug, Default)]
pub(crate) struct Oracle(HashMap<&'static str, HashMap<String, Value>>);

impl Oracle {
    /// Asks every table as the caller: the same login, role and claims, without the data API.
    pub(crate) async fn ask(db: &TestDatabase, caller: &Caller) -> Self {
        let (client, connection) =
            tokio_postgres::connect(db.urls.data.authenticator.expose(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("set role {}", caller.role)).await.unwrap();
        let claims: &str = &caller.claims;
        client.query("select set_config('request.jwt.claims', $1, false)", &[&claims]).await.unwrap();
        let mut seen = HashMap::new();
        for table in TABLES {
            // A table without a grant shows nothing.
            let sql = format!("select to_jsonb(t) from public.{table} t");
            let rows = client.query(&sql, &[]).await.unwrap_or_default();
            let rows = rows.iter().map(|row| row.get::<_, Value>(0)).map(|row| (name(table, &row), row));
            seen.insert(table, rows.collect());
        }
        Self(seen)
    }

    /// How many rows of a table the caller sees.
    pub(crate) fn count(&self, table: &str) -> usize {
        self.0[table].len()
    }

    /// What of an answer is not the caller's; the number of rows looked at otherwise. `changed`: columns of the root
    /// that the request itself has changed.
    pub(crate) fn check(&self, node: &Node, answer: &Value, changed: &[&str]) -> Result<usize, String> {
        match answer {
            Value::Array(rows) => rows.iter().map(|row| self.check(node, row, changed)).sum(),
            Value::Null => Ok(0),
            row => self.check_row(node, row, changed),
        }
    }

    fn check_row(&self, node: &Node, row: &Value, changed: &[&str]) -> Result<usize, String> {
        let value = |column: &&str| {
            let (name, _) = node.columns.iter().find(|(_, own)| own == column).expect("the key is asked for");
            row.get(name).map(Value::to_string).unwrap_or_default()
        };
        let key = key(node.table);
        let name = key.iter().map(value).collect::<Vec<_>>().join(" ");
        // A spread or left join without a partner.
        if key.iter().all(|column| value(column) == "null") {
            return Ok(0);
        }
        let is_renamed = key.iter().any(|column| changed.contains(column));
        let seen = self.0[node.table].get(&name).filter(|_| !is_renamed);
        if seen.is_none() && !is_renamed {
            return Err(format!("row {name} of {} is not the caller's to see: {row}", node.table));
        }
        for (alias, column) in node.columns.iter().filter(|(_, column)| !changed.contains(column)) {
            let plain = seen.map(|seen| &seen[*column]);
            if plain.is_some_and(|plain| row.get(alias) != Some(plain)) {
                return Err(format!("{column} of {name} in {} is not {plain:?}: {row}", node.table));
            }
        }
        let embeds = node.embeds.iter();
        let below = embeds
            .map(|(name, spread, child)| self.check(child, if *spread { row } else { &row[name] }, &[]));
        Ok(1 + below.sum::<Result<usize, String>>()?)
    }
}

/// The key's values as text.
fn name(table: &str, row: &Value) -> String {
    key(table).iter().map(|column| row[*column].to_string()).collect::<Vec<_>>().join(" ")
}
