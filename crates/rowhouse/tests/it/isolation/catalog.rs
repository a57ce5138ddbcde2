//! Targets, read from the database's catalog, so that new tables are covered automatically.

use serde::Deserialize;
use tokio_postgres::Client;

/// A table or view of the project's schema.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Relation {
    pub(super) name: String,
    /// `pg_class.relkind`.
    pub(super) kind: String,
    pub(super) is_partition: bool,
    pub(super) columns: Vec<Column>,
    /// Column sets that are unique, the primary key first.
    pub(super) keys: Vec<Vec<String>>,
    pub(super) references: Vec<Reference>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) is_generated: bool,
    pub(super) is_identity_always: bool,
}

/// A foreign key: pairs of own column and parent's column.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reference {
    pub(super) parent: String,
    pub(super) columns: Vec<(String, String)>,
}

/// A function of the project's schema with its named arguments and their types.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) arguments: Vec<(String, String)>,
    /// The rows' table, for functions that can be filtered.
    pub(super) rows_of: Option<String>,
}

impl Relation {
    pub(super) fn has_tenant(&self) -> bool {
        self.column("tenant_id").is_some()
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Rows can be put into it by hand: a table that is no partition, with an owner of its rows.
    pub(super) fn is_tenant_table(&self) -> bool {
        self.has_tenant() && !self.is_partition && matches!(&*self.kind, "r" | "p")
    }

    /// What identifies a row; of a view, its `id`.
    pub(super) fn key(&self) -> Vec<String> {
        self.keys.first().cloned().unwrap_or_else(|| vec![self.columns[0].name.clone()])
    }

    /// A text column outside of keys and references that a write may change.
    pub(super) fn free_text(&self) -> Option<&str> {
        let taken = |name: &str| {
            self.keys.iter().flatten().any(|key| key == name)
                || self.references.iter().flat_map(|r| &r.columns).any(|(own, _)| own == name)
        };
        let mut texts =
            self.columns.iter().filter(|c| c.kind == "text" && !c.is_generated && !taken(&c.name));
        texts.next().map(|column| column.name.as_str())
    }
}

const RELATIONS: &str = "select jsonb_agg(jsonb_build_object(
    'name', c.relname, 'kind', c.relkind, 'is_partition', c.relispartition,
    'columns', (
      select jsonb_agg(jsonb_build_object('name', attname, 'type', format_type(atttypid, null),
        'is_generated', attgenerated <> '', 'is_identity_always', attidentity = 'a') order by attnum)
      from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped),
    'keys', (
      select coalesce(jsonb_agg(k.names order by k.is_primary desc), '[]')
      from (select i.indisprimary as is_primary, jsonb_agg(a.attname order by n.place) as names
        from pg_index i
        cross join unnest(i.indkey::int2[]) with ordinality as n (number, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = n.number
        where i.indrelid = c.oid and i.indisunique and i.indpred is null group by i.indexrelid, i.indisprimary) as k),
    'references', (
      select coalesce(jsonb_agg(jsonb_build_object('parent', p.relname, 'columns', (
        select jsonb_agg(jsonb_build_array(ca.attname, pa.attname))
        from unnest(f.conkey, f.confkey) as n (child, parent)
        join pg_attribute ca on ca.attrelid = f.conrelid and ca.attnum = n.child
        join pg_attribute pa on pa.attrelid = f.confrelid and pa.attnum = n.parent)) order by f.conname), '[]')
      from pg_constraint f join pg_class p on p.oid = f.confrelid
      where f.conrelid = c.oid and f.contype = 'f' and f.conparentid = 0)
  ) order by c.relname)::text
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')";

const FUNCTIONS: &str = "select jsonb_agg(jsonb_build_object(
    'name', p.proname,
    'arguments', (select coalesce(jsonb_agg(jsonb_build_array(a.name, format_type(a.type, null)) order by a.place), '[]')
      from unnest(p.proargnames, p.proargtypes::oid[]) with ordinality as a (name, type, place) where a.type is not null),
    'rows_of', (select c.relname from pg_class c where p.proretset and c.reltype = p.prorettype)
  ) order by p.proname)::text
  from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'";

pub(super) async fn relations(client: &Client) -> Vec<Relation> {
    serde_json::from_str(client.query_one(RELATIONS, &[]).await.unwrap().get(0)).unwrap()
}

pub(super) async fn functions(client: &Client) -> Vec<Function> {
    serde_json::from_str(client.query_one(FUNCTIONS, &[]).await.unwrap().get(0)).unwrap()
}
