//! Relations and functions as the database's catalogs have them. Leaves whose rows they hold to `model`.

use std::collections::BTreeMap;

use rowhouse_db::DbError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_postgres::Client;

const RELATIONS: &str = include_str!("../../sql/prove/catalog.sql");
const FUNCTIONS: &str = include_str!("../../sql/prove/function.sql");

/// A column; names are quoted where SQL needs it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) bare_name: String,
    /// As SQL writes it; of a domain, what it is based on.
    #[serde(rename = "type")]
    pub(crate) type_name: String,
    /// The same without schema and length.
    pub(crate) base: String,
    /// `b`ase, `e`num, `r`ange, `c`omposite, …
    pub(crate) kind: String,
    /// `S`tring, `N`umber, `A`rray, …
    pub(crate) category: String,
    /// Whether a row needs a value for it.
    pub(crate) is_required: bool,
    pub(crate) is_nullable: bool,
    pub(crate) has_default: bool,
    /// Whether no statement may set it.
    pub(crate) is_fixed: bool,
    pub(crate) is_identity: bool,
    pub(crate) labels: Option<Vec<String>>,
    pub(crate) element_labels: Option<Vec<String>>,
    pub(crate) checks: Option<Vec<String>>,
}

/// A unique key over whole columns.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) columns: Vec<String>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) parent: String,
    /// Whether it keeps a parent with children from being deleted.
    pub(crate) is_blocking: bool,
    pub(crate) columns: Vec<String>,
    pub(crate) parent_columns: Vec<String>,
}

/// A check constraint, or (without a name) the bounds of partitions.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CheckConstraint {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) columns: Option<Vec<String>>,
}

/// What a role may do with a relation.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Rights {
    /// Granted on the table or on a column of it.
    pub(crate) verbs: Vec<String>,
    /// Verbs for which there is a permissive policy, or no policy needed.
    pub(crate) permitted: Vec<String>,
    pub(crate) select: Vec<String>,
    pub(crate) insert: Vec<String>,
    pub(crate) update: Vec<String>,
}

/// A policy.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// `*`, `r`, `a`, `w` or `d`.
    pub(crate) command: String,
    pub(crate) is_permissive: bool,
    pub(crate) is_for_callers: bool,
    pub(crate) using: Option<String>,
    pub(crate) check: Option<String>,
}

/// A table, view or foreign table.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Relation {
    /// With its schema, as SQL writes it.
    pub(crate) name: String,
    /// As they are stored.
    pub(crate) schema: String,
    pub(crate) bare_name: String,
    pub(crate) kind: String,
    pub(crate) is_secured: bool,
    /// What the login of the proof lacks to read it, which somebody else's tables are: who grants what.
    pub(crate) missing_grant: Option<String>,
    pub(crate) is_protected: bool,
    pub(crate) is_shared: bool,
    /// Whether `tenancy.protect` has made triggers that compare the tenants of references.
    pub(crate) has_reference_checks: bool,
    pub(crate) parents: Vec<String>,
    pub(crate) columns: Vec<Column>,
    pub(crate) keys: Vec<Key>,
    pub(crate) references: Vec<Reference>,
    pub(crate) checks: Vec<CheckConstraint>,
    pub(crate) rights: BTreeMap<String, Rights>,
    pub(crate) policies: Vec<Policy>,
}

impl Column {
    /// Whether its values are numbered by PostgreSQL alone; other fixed columns are computed.
    pub(crate) fn has_identity(&self) -> bool {
        self.is_fixed && self.is_identity
    }
}

impl Relation {
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.kind.as_str(), "r" | "p")
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name || column.bare_name == name)
    }

    pub(crate) fn rights(&self, role: &str) -> Rights {
        self.rights.get(role).cloned().unwrap_or_default()
    }

    /// Whether no row can pass for that verb: nothing is granted, or no policy permits it.
    pub(crate) fn is_closed(&self, role: &str, verb: &str) -> bool {
        let has = |verbs: &[String]| verbs.iter().any(|one| one == verb);
        self.rights.get(role).is_none_or(|rights| !has(&rights.verbs) || !has(&rights.permitted))
    }

    /// Why the proof cannot look at its rows, and what to do; none if it can.
    pub(crate) fn out_of_reach(&self) -> Option<String> {
        let grant = self.missing_grant.as_ref()?;
        Some(format!(
            "the login of the proof may not read it: make it the project's (rowhouse migrate adopt --schema {}), or, {grant}",
            self.schema
        ))
    }

    /// Whether a role has any privilege that reaches rows.
    pub(crate) fn is_granted(&self) -> bool {
        self.rights.values().any(|rights| !rights.verbs.is_empty())
    }
}

/// A function that callers may call.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Function {
    /// With the types of its arguments.
    pub(crate) name: String,
    /// Without them.
    pub(crate) call: String,
    /// As they are stored.
    pub(crate) schema: String,
    pub(crate) bare_name: String,
    pub(crate) is_procedure: bool,
    pub(crate) is_definer: bool,
    pub(crate) is_volatile: bool,
    pub(crate) arguments: Vec<String>,
    /// Names of the arguments; empty for those that have none.
    pub(crate) argument_names: Vec<String>,
    pub(crate) roles: Vec<String>,
}

/// Everything that callers may reach in some schemas.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    pub(crate) relations: Vec<Relation>,
    pub(crate) functions: Vec<Function>,
}

/// Reads it. Names are qualified if the search path is that of the audit.
pub(crate) async fn read(client: &Client, schemas: &[String], roles: &[String]) -> Result<Catalog, DbError> {
    let input = json!({"schemas": schemas, "roles": roles});
    Ok(Catalog {
        relations: rows(client, RELATIONS, &input).await?,
        functions: rows(client, FUNCTIONS, &input).await?,
    })
}

async fn rows<T: DeserializeOwned>(client: &Client, sql: &str, input: &Value) -> Result<Vec<T>, DbError> {
    let rows = client.query(sql, &[input]).await?;
    let read = |value: Value| {
        serde_json::from_value(value).map_err(|error| DbError::Protocol(error.to_string().into()))
    };
    rows.iter().map(|row| read(row.get(0))).collect()
}
