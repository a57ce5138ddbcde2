//! Functions of hooks.

use std::time::Duration;

use rowhouse_db::DbError;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::fault::Fault;

/// Calls a function with an event; it is cancelled after `limit`.
pub(crate) async fn call(
    client: &Client,
    name: &str,
    event: &Value,
    limit: Duration,
) -> Result<Value, Fault> {
    let milliseconds = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX).to_string();
    let set = "select set_config('statement_timeout', $1, true)";
    client.execute_typed(set, &[(&milliseconds, Type::TEXT)]).await?;
    let sql = "select coalesce(auth.call_hook($1, $2), 'null')";
    Ok(client.query_typed_one(sql, &[(&name, Type::TEXT), (event, Type::JSONB)]).await?.try_get(0)?)
}

/// Why a function cannot be called, with the remedy; `None` if it can.
pub(crate) async fn mistake(client: &Client, name: &str) -> Result<Option<String>, DbError> {
    Ok(client.query_typed_one("select auth.hook_mistake($1)", &[(&name, Type::TEXT)]).await?.try_get(0)?)
}

/// Makes the function of a hook run as its owner.
pub(crate) async fn confine(client: &Client, name: &str) -> Result<(), Fault> {
    client.execute_typed("select auth.confine_hook($1)", &[(&name, Type::TEXT)]).await?;
    Ok(())
}
