//! Reads a [`Snapshot`] from the system catalogs, in one read-only transaction.
//!
//! `search_path` is emptied first, so that PostgreSQL prints every type and default with its schema and the
//! texts mean the same under any search path. JIT is off: with large catalogs the planner estimates so many rows that
//! it compiles the queries, which takes several times as long as running them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tokio_postgres::{Client, Row};

use super::key::{Key, KeyKind, Names, Shown};
use super::view::Origins;
use super::{
    Argument, Column, ComputedRelation, Function, HandlerSource, MediaHandler, QualifiedName, Representation,
    Returns, Snapshot, Table, Volatility,
};
use crate::DbError;

const TABLES: &str = include_str!("tables.sql");
const COLUMNS: &str = include_str!("columns.sql");
const KEYS: &str = include_str!("keys.sql");
const ATTRIBUTES: &str = include_str!("attributes.sql");
const RULES: &str = include_str!("rules.sql");
const HANDLERS: &str = include_str!("handlers.sql");
const ENUMS: &str = include_str!("enums.sql");
const GEOJSON: &str = include_str!("geojson.sql");
const ROLES: &str = include_str!("roles.sql");
const COMPUTED: &str = include_str!("computed.sql");
const COMPUTED_COLUMNS: &str = include_str!("computed_columns.sql");
const BYPASSING: &str = include_str!("bypassing.sql");
const FUNCTIONS: &str = include_str!("functions.sql");

/// Reads tables, keys, relations and functions of `schemas`. Schemas that do not exist are served empty.
///
/// # Errors
/// Whatever the database answers; the connection is left outside a transaction.
pub async fn load(client: &Client, schemas: &[String]) -> Result<Snapshot, DbError> {
    client
        .batch_execute(
            "begin transaction isolation level repeatable read read only; set local search_path = ''; set local jit = off",
        )
        .await?;
    let snapshot = read(client, schemas).await;
    let ended = client.batch_execute("commit").await;
    let snapshot = snapshot?;
    ended?;
    Ok(snapshot)
}

async fn read(client: &Client, schemas: &[String]) -> Result<Snapshot, DbError> {
    let schemas_param: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&schemas];
    let mut tables: HashMap<u32, Table> = HashMap::new();
    for row in client.query(TABLES, schemas_param).await? {
        tables.insert(row.try_get(0)?, table(&row)?);
    }
    for row in client.query(COLUMNS, schemas_param).await? {
        if let Some(table) = tables.get_mut(&row.try_get::<_, u32>(0)?) {
            table.columns.push(column(&row)?);
        }
    }
    for row in client.query(COMPUTED_COLUMNS, schemas_param).await? {
        if let Some(table) = tables.get_mut(&row.try_get::<_, u32>(0)?) {
            table.computed.push(row.try_get(1)?);
        }
    }
    let keys = client.query(KEYS, &[]).await?;
    let keys = keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let names = names(&client.query(ATTRIBUTES, schemas_param).await?)?;
    let mut origins = Origins::default();
    for row in client.query(RULES, schemas_param).await? {
        origins.add(row.try_get(0)?, row.try_get(1)?);
    }
    let shown = Shown::new(&origins.resolved());
    give_keys(&mut tables, &keys, &shown, &names);
    let foreign = shown.foreign_keys(&keys, &names);
    let functions = client.query(FUNCTIONS, schemas_param).await?;
    let functions = functions.iter().map(function).collect::<Result<Vec<_>, _>>()?;
    let computed = client.query(COMPUTED, schemas_param).await?;
    let computed = computed.iter().map(computed_relation).collect::<Result<Vec<_>, _>>()?;
    let handlers = client.query(HANDLERS, schemas_param).await?;
    let handlers = handlers.iter().map(handler).collect::<Result<Vec<_>, _>>()?;
    let tables = tables.into_values().collect();
    let snapshot = Snapshot::new(schemas, tables, functions, &foreign);
    let mut snapshot = snapshot.with_computed(computed).with_handlers(handlers);
    for row in client.query(ENUMS, &[]).await? {
        snapshot.add_enum(row.try_get(0)?, row.try_get(1)?);
    }
    if let Some(row) = client.query_opt(GEOJSON, &[]).await? {
        snapshot.make_features_with(QualifiedName { schema: row.try_get(0)?, name: row.try_get(1)? });
    }
    for row in client.query(ROLES, &[]).await? {
        snapshot.set_for_role(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    for row in client.query(BYPASSING, &[]).await? {
        snapshot.let_bypass_row_security(row.try_get(0)?);
    }
    Ok(snapshot)
}

/// Primary and unique keys to the tables that have them, primary keys to views that show them.
fn give_keys(tables: &mut HashMap<u32, Table>, keys: &[Key], shown: &Shown, names: &Names) {
    for key in keys {
        let (Some(table), Some(columns)) = (tables.get_mut(&key.table), names.of(key.table, &key.columns))
        else {
            continue;
        };
        match key.kind {
            KeyKind::Primary => table.primary_key = columns,
            KeyKind::Unique => table.unique.push(columns),
            KeyKind::Foreign => {}
        }
    }
    for (view, columns) in shown.primary_keys(keys) {
        if let (Some(table), Some(columns)) = (tables.get_mut(&view), names.of(view, &columns)) {
            table.primary_key = columns;
        }
    }
}

fn names(rows: &[Row]) -> Result<Names, tokio_postgres::Error> {
    let mut names = Names::default();
    for row in rows {
        let relation: u32 = row.try_get(0)?;
        names.columns.insert((relation, row.try_get(1)?), row.try_get(2)?);
        if let Entry::Vacant(vacant) = names.relations.entry(relation) {
            vacant.insert(QualifiedName { schema: row.try_get(3)?, name: row.try_get(4)? });
        }
    }
    Ok(names)
}

fn key(row: &Row) -> Result<Key, tokio_postgres::Error> {
    let kind = match row.try_get::<_, i8>(1)?.cast_unsigned() {
        b'p' => KeyKind::Primary,
        b'u' => KeyKind::Unique,
        _ => KeyKind::Foreign,
    };
    Ok(Key {
        table: row.try_get(0)?,
        kind,
        name: row.try_get(2)?,
        columns: row.try_get(3)?,
        foreign: row.try_get(4)?,
        foreign_columns: row.try_get(5)?,
    })
}

fn handler(row: &Row) -> Result<MediaHandler, tokio_postgres::Error> {
    let source = match (row.try_get(2)?, row.try_get::<_, Option<&str>>(4)?) {
        (true, Some("anyelement")) => HandlerSource::AnyRows,
        (true, Some(_)) => {
            HandlerSource::Table(QualifiedName { schema: row.try_get(3)?, name: row.try_get(4)? })
        }
        _ => HandlerSource::Itself,
    };
    Ok(MediaHandler {
        function: QualifiedName { schema: row.try_get(0)?, name: row.try_get(1)? },
        source,
        media: row.try_get(5)?,
        is_bytes: row.try_get(6)?,
    })
}

fn computed_relation(row: &Row) -> Result<ComputedRelation, tokio_postgres::Error> {
    let name = |at| {
        Ok::<_, tokio_postgres::Error>(QualifiedName { schema: row.try_get(at)?, name: row.try_get(at + 1)? })
    };
    Ok(ComputedRelation { function: name(0)?, table: name(2)?, target: name(4)?, to_one: row.try_get(6)? })
}

/// `name=value`, as PostgreSQL keeps settings of functions.
fn assignment(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn table(row: &Row) -> Result<Table, tokio_postgres::Error> {
    Ok(Table {
        name: QualifiedName { schema: row.try_get(1)?, name: row.try_get(2)? },
        is_view: row.try_get(3)?,
        insertable: row.try_get(4)?,
        updatable: row.try_get(5)?,
        deletable: row.try_get(6)?,
        ..Table::default()
    })
}

fn column(row: &Row) -> Result<Column, tokio_postgres::Error> {
    Ok(Column {
        name: row.try_get(1)?,
        type_name: row.try_get(2)?,
        base_type: row.try_get(3)?,
        nullable: row.try_get(4)?,
        default: row.try_get(5)?,
        representation: Representation {
            to_json: row.try_get(6)?,
            from_json: row.try_get(7)?,
            from_text: row.try_get(8)?,
        },
        is_generated: row.try_get(9)?,
    })
}

fn function(row: &Row) -> Result<Function, tokio_postgres::Error> {
    let names: Vec<String> = row.try_get(2)?;
    let types: Vec<String> = row.try_get(3)?;
    let required = usize::try_from(row.try_get::<_, i32>(4)?).unwrap_or(0);
    let variadic: bool = row.try_get(5)?;
    let last = names.len();
    let arguments = names.into_iter().zip(types).enumerate().map(|(at, (name, type_name))| Argument {
        name,
        type_name,
        required: at < required,
        variadic: variadic && at + 1 == last,
    });
    let volatility = match row.try_get::<_, i8>(6)?.cast_unsigned() {
        b'i' => Volatility::Immutable,
        b's' => Volatility::Stable,
        _ => Volatility::Volatile,
    };
    let returns = match row.try_get::<_, &str>(8)? {
        "void" => Returns::Void,
        "row" => Returns::Row(QualifiedName { schema: row.try_get(9)?, name: row.try_get(10)? }),
        _ => Returns::Scalar,
    };
    Ok(Function {
        name: QualifiedName { schema: row.try_get(0)?, name: row.try_get(1)? },
        arguments: arguments.collect(),
        returns_set: row.try_get(7)?,
        returns,
        columns: row.try_get(12)?,
        volatility,
        settings: row.try_get::<_, Vec<String>>(11)?.iter().filter_map(|s| assignment(s)).collect(),
    })
}
