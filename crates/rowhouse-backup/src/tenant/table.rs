//! The tables with rows of a tenant: those that the tenancy model knows, in the order in which rows can be inserted.

use std::collections::{HashMap, HashSet};

use rowhouse_db::DbError;
use serde::Serialize;
use tokio_postgres::{Client, Row};

/// The tenant, in SQL of either database.
pub(super) const TENANT: &str = "current_setting('rowhouse.tenant')::uuid";
/// What is configured for a tenant; of the platform's other tables none is brought back.
const SETTINGS: [&str; 5] = [
    "tenancy.tenants",
    "tenancy.tenant_products",
    "tenancy.tenant_limits",
    "tenancy.tenant_quotas",
    "tenancy.tenant_settings",
];
/// Who belongs to it, and what they may.
const MEMBERS: [&str; 2] = ["tenancy.memberships", "tenancy.entitlements"];

/// Why a table is brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    /// The project's.
    Data,
    /// What is configured for the tenant.
    Settings,
    /// Its members.
    Members,
}

/// A table; names are quoted where they have to be.
#[derive(Debug, Clone)]
pub(super) struct Table {
    relation: u32,
    pub(super) name: String,
    /// The column that names the tenant.
    pub(super) tenant_column: String,
    pub(super) is_partitioned: bool,
    pub(super) group: Group,
    pub(super) key: Vec<String>,
    /// Those that the live table and the backup have.
    pub(super) columns: Vec<String>,
    /// Columns that an update cannot set.
    identities: Vec<String>,
    parents: Vec<u32>,
    /// Columns whose type would run checks of the project.
    unchecked: HashMap<String, Unchecked>,
    /// Statements.
    pub(super) disable: Vec<String>,
    pub(super) enable: Vec<String>,
}

/// How a value stands beside the live ones without running checks.
#[derive(Debug, Clone)]
struct Unchecked {
    /// An expression of the live column, with a type that has none.
    staged: String,
    /// The type to go back to from text; empty if it is not text.
    from_text: String,
}

impl Table {
    fn read(row: &Row) -> Result<Option<Self>, tokio_postgres::Error> {
        let name: String = row.try_get("name")?;
        let group = match (row.try_get("of_project")?, name.as_str()) {
            (true, _) => Group::Data,
            (false, name) if SETTINGS.contains(&name) => Group::Settings,
            (false, name) if MEMBERS.contains(&name) => Group::Members,
            (false, _) => return Ok(None),
        };
        Ok(Some(Self {
            relation: row.try_get("relation")?,
            name,
            tenant_column: row.try_get("tenant_column")?,
            is_partitioned: row.try_get("is_partitioned")?,
            group,
            key: row.try_get("key")?,
            columns: row.try_get("columns")?,
            identities: row.try_get("identities")?,
            parents: row.try_get("parents")?,
            unchecked: unchecked(row)?,
            disable: row.try_get("disable")?,
            enable: row.try_get("enable")?,
        }))
    }

    /// Rows of the table itself: those of tables that inherit from it are not its own.
    pub(super) fn own(&self) -> String {
        if self.is_partitioned { self.name.clone() } else { format!("only {}", self.name) }
    }

    pub(super) fn is_tenants(&self) -> bool {
        self.name == "tenancy.tenants"
    }

    /// The live column, in the type in which the backup's value stands beside it.
    pub(super) fn staged(&self, column: &str) -> String {
        self.unchecked.get(column).map_or_else(|| column.to_owned(), |unchecked| unchecked.staged.clone())
    }

    /// The backup's value as the live table takes it; checks run.
    pub(super) fn value(&self, column: &str) -> String {
        match self.type_of_text(column) {
            Some(back) => format!("s.{column}::{back}"),
            None => format!("s.{column}"),
        }
    }

    fn type_of_text(&self, column: &str) -> Option<&str> {
        let unchecked = self.unchecked.get(column)?;
        (!unchecked.from_text.is_empty()).then_some(unchecked.from_text.as_str())
    }

    /// Whether the live row `l` has the key of the row `s` of the backup.
    pub(super) fn same_key(&self) -> String {
        let same = |key: &String| match self.type_of_text(key) {
            Some(_) => format!("row(l.{key})::text = row(s.{key})::text"),
            None => format!("l.{key} = s.{key}"),
        };
        self.key.iter().map(same).collect::<Vec<_>>().join(" and ")
    }

    /// The key as text, which runs nothing but the types' own output.
    pub(super) fn key_text(&self, alias: &str) -> String {
        let keys: Vec<String> = self.key.iter().map(|key| format!("{alias}.{key}")).collect();
        format!("row({})::text", keys.join(", "))
    }

    /// Columns that an update may set.
    pub(super) fn settable(&self) -> impl Iterator<Item = &String> {
        self.columns.iter().filter(|column| !self.key.contains(column) && !self.identities.contains(column))
    }

    /// Why its rows cannot be compared.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        if self.columns.is_empty() {
            return Some("the backup does not have it");
        }
        if self.key.is_empty() {
            return Some("it has no primary key, so its rows cannot be told apart");
        }
        let is_known =
            self.key.iter().chain([&self.tenant_column]).all(|column| self.columns.contains(column));
        (!is_known).then_some("its primary key or its tenant's column is not in the backup")
    }
}

fn unchecked(row: &Row) -> Result<HashMap<String, Unchecked>, tokio_postgres::Error> {
    let texts: Vec<String> = row.try_get("unchecked")?;
    let mut found = HashMap::new();
    for three in texts.chunks_exact(3) {
        let unchecked = Unchecked { staged: three[1].clone(), from_text: three[2].clone() };
        found.insert(three[0].clone(), unchecked);
    }
    Ok(found)
}

/// Every table, parents first, with the columns that both databases have.
pub(super) async fn tables(live: &Client, copy: &Client) -> Result<Vec<Table>, DbError> {
    let rows = live.query(include_str!("../../sql/tenant_tables.sql"), &[]).await?;
    let mut tables = Vec::new();
    for row in &rows {
        let Some(mut table) = Table::read(row)? else { continue };
        let known = columns(copy, &table.name).await?;
        table.columns.retain(|column| known.contains(column));
        tables.push(table);
    }
    Ok(parents_first(tables))
}

async fn columns(copy: &Client, name: &str) -> Result<Vec<String>, DbError> {
    let sql = "select quote_ident(attname) from pg_attribute \
               where attrelid = to_regclass($1) and attnum > 0 and not attisdropped";
    Ok(copy.query(sql, &[&name]).await?.iter().map(|row| row.get(0)).collect())
}

/// A table after those that it refers to. In a circle the first by name comes first; references that are checked at the end of
/// the transaction allow that.
fn parents_first(mut left: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waiting: HashSet<u32> = left.iter().map(|table| table.relation).collect();
        let is_free = |table: &Table| {
            !table.parents.iter().any(|parent| *parent != table.relation && waiting.contains(parent))
        };
        let next = left.iter().position(is_free).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Group, Table, parents_first};

    fn table(relation: u32, parents: &[u32]) -> Table {
        Table {
            relation,
            name: format!("t{relation}"),
            tenant_column: "tenant_id".to_owned(),
            is_partitioned: false,
            group: Group::Data,
            key: vec!["id".to_owned()],
            columns: vec!["id".to_owned(), "tenant_id".to_owned(), "note".to_owned()],
            identities: vec!["id".to_owned()],
            parents: parents.to_vec(),
            unchecked: HashMap::new(),
            disable: Vec::new(),
            enable: Vec::new(),
        }
    }

    #[test]
    fn tables_come_after_those_that_they_refer_to_and_circles_end() {
        let order = |tables: Vec<Table>| -> Vec<u32> {
            parents_first(tables).iter().map(|table| table.relation).collect()
        };
        assert_eq!(order(vec![table(1, &[1, 3]), table(2, &[1, 99]), table(3, &[])]), [3, 1, 2]);
        assert_eq!(order(vec![table(1, &[2]), table(2, &[1]), table(3, &[])]), [3, 1, 2]);
    }

    #[test]
    fn table_without_a_key_or_beside_the_backup_is_left_out_and_says_so() {
        assert_eq!(table(1, &[]).obstacle(), None);
        let no_key = Table { key: Vec::new(), ..table(1, &[]) };
        assert!(no_key.obstacle().is_some_and(|why| why.contains("primary key")));
        let absent = Table { columns: Vec::new(), ..table(1, &[]) };
        assert_eq!(absent.obstacle(), Some("the backup does not have it"));
    }
}
