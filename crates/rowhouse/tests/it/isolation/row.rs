//! Rows for every tenant table, generated from the columns' types; and reading what is stored.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use super::catalog::Relation;

pub(super) type Row = Map<String, Value>;

/// A tenant whose rows contain unique values.
#[derive(Debug, Clone)]
pub(super) struct Party {
    pub(super) mark: &'static str,
    /// The first of his numbers; nine digits, so that one is recognized in any text.
    pub(super) base: u32,
    pub(super) tenant: String,
}

impl Party {
    /// The `n`th row of a table. References lead to the party's own `n`th row of the parent.
    pub(super) fn row(&self, relations: &[Relation], relation: &Relation, n: u32) -> Row {
        let mut row: Row = Row::new();
        for column in relation.columns.iter().filter(|column| !column.is_generated) {
            row.insert(column.name.clone(), self.value(relations, relation, &column.name, n));
        }
        for reference in &relation.references {
            let Some(parent) = relations.iter().find(|r| r.name == reference.parent && r.is_tenant_table())
            else {
                continue;
            };
            for (own, theirs) in &reference.columns {
                row.insert(own.clone(), self.value(relations, parent, theirs, n));
            }
        }
        row
    }

    /// A row that does not exist yet, under parents of `other`'s: a different one for each reference.
    pub(super) fn new_row(&self, relations: &[Relation], relation: &Relation, other: &Self) -> Row {
        let mut row = self.row(relations, relation, 9);
        for (reference, n) in relation.references.iter().zip([1, 2].into_iter().cycle()) {
            let parents = other.row(relations, relation, n);
            for (own, _) in reference.columns.iter().filter(|(own, _)| own != "tenant_id") {
                row.insert(own.clone(), parents[own].clone());
            }
        }
        row
    }

    fn value(&self, relations: &[Relation], relation: &Relation, column: &str, n: u32) -> Value {
        if column == "tenant_id" {
            return json!(self.tenant);
        }
        let place = relations.iter().position(|other| other.name == relation.name).unwrap_or(0);
        let number = self.base + u32::try_from(place).unwrap() * 10_000 + n;
        let shared = relation.references.iter().any(|r| r.parent == "countries" && r.columns[0].0 == column);
        let kind = relation.column(column).unwrap().kind.as_str();
        match kind {
            _ if shared => json!("DE"),
            "text" => json!(format!("{}-{}-{column}-{n}", self.mark, relation.name)),
            "bigint" | "integer" => json!(number),
            "uuid" => json!(format!("{}00000-0000-4000-8000-{number:012}", self.base / 1_000_000)),
            "boolean" => json!(false),
            "jsonb" | "json" => json!({ "note": format!("{}-{}-{n}", self.mark, relation.name) }),
            "date" => json!("2026-06-01"),
            "timestamp with time zone" => json!("2026-06-01T00:00:00Z"),
            other => panic!("teach the row maker about {other} ({}.{column})", relation.name),
        }
    }

    /// Whether a text or number is one of this party's marks.
    fn owns(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                let text = text.to_lowercase();
                text.contains(self.mark)
                    || text == self.tenant
                    || text.starts_with(&format!("{}00000-", self.base / 1_000_000))
            }
            Value::Number(number) => number
                .as_u64()
                .is_some_and(|n| (u64::from(self.base)..u64::from(self.base) + 1_000_000).contains(&n)),
            _ => false,
        }
    }

    /// Every unique value that is stored, as it would appear in an answer.
    pub(super) fn marks(&self, stored: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
        let mut found = vec![self.mark.to_owned(), self.mark.to_uppercase(), self.tenant.clone()];
        for leaf in stored.values().flatten().flat_map(leaves).filter(|leaf| self.owns(leaf)) {
            found.push(leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn leaves(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(map) => map.values().flat_map(leaves).collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        leaf => vec![leaf.clone()],
    }
}

/// Statements that bring every tenant table back to two rows per party; others' rows are not touched.
pub(super) fn restore(relations: &[Relation], parties: &[&Party]) -> String {
    let tenants: Vec<String> = parties.iter().map(|party| format!("'{}'", party.tenant)).collect();
    let tenants = tenants.join(", ");
    let mut sql = String::from("set session_replication_role = replica;");
    for relation in relations.iter().filter(|relation| relation.is_tenant_table()) {
        let names: Vec<&str> =
            relation.columns.iter().filter(|c| !c.is_generated).map(|c| c.name.as_str()).collect();
        let names = names.join(", ");
        let rows: Vec<Row> =
            parties.iter().flat_map(|p| [1, 2].map(|n| p.row(relations, relation, n))).collect();
        let table = &relation.name;
        let rows = json!(rows);
        sql.push_str(&format!(
            "delete from {table} where tenant_id in ({tenants}); insert into {table} ({names}) overriding system value
             select {names} from jsonb_populate_recordset(null::{table}, '{rows}');"
        ));
    }
    sql + "set session_replication_role = origin"
}

/// Everything stored that is not `except`'s, with the transaction that wrote it: equal means untouched.
pub(super) async fn dump(
    client: &Client,
    relations: &[Relation],
    except: &str,
) -> BTreeMap<String, Vec<Value>> {
    let mut stored = BTreeMap::new();
    for relation in relations.iter().filter(|relation| relation.kind != "v" && relation.kind != "p") {
        let whose =
            if relation.has_tenant() { format!("tenant_id::text <> '{except}'") } else { "true".to_owned() };
        let sql = format!(
            "select coalesce(jsonb_agg(to_jsonb(t) || jsonb_build_object('xmin', t.xmin, 'ctid', t.ctid) order by t.ctid), '[]')::text
             from public.{} t where {whose}",
            relation.name
        );
        let text: String = client.query_one(&sql, &[]).await.unwrap().get(0);
        stored.insert(relation.name.clone(), serde_json::from_str(&text).unwrap());
    }
    stored
}

/// The party's first row of a table or view as SQL sees it; of a shared table, any.
pub(super) async fn first(client: &Client, relation: &Relation, tenant: &str) -> Row {
    let whose =
        if relation.has_tenant() { format!("tenant_id::text = '{tenant}'") } else { "true".to_owned() };
    let key = relation.key().join(", ");
    let sql = format!(
        "select to_jsonb(t)::text from public.{} t where {whose} order by {key} limit 1",
        relation.name
    );
    let text: String = client.query_one(&sql, &[]).await.unwrap().get(0);
    serde_json::from_str(&text).unwrap()
}

/// How many rows of a relation are the tenant's.
pub(super) async fn count(client: &Client, relation: &str, tenant: Option<&str>) -> i64 {
    let whose = tenant.map(|tenant| format!("where tenant_id::text = '{tenant}'")).unwrap_or_default();
    client.query_one(&format!("select count(*) from public.{relation} {whose}"), &[]).await.unwrap().get(0)
}

/// References that lead from one tenant to another.
pub(super) async fn crossing_references(client: &Client, relations: &[Relation]) -> i64 {
    let mut found = 0;
    for child in relations.iter().filter(|relation| relation.is_tenant_table()) {
        for reference in &child.references {
            let Some(parent) = relations.iter().find(|r| r.name == reference.parent && r.has_tenant()) else {
                continue;
            };
            let on: Vec<String> =
                reference.columns.iter().map(|(own, theirs)| format!("c.{own} = p.{theirs}")).collect();
            let sql = format!(
                "select count(*) from {} c join {} p on {} where c.tenant_id <> p.tenant_id",
                child.name,
                parent.name,
                on.join(" and ")
            );
            found += client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0);
        }
    }
    found
}
