//! Entries of the audit log about accounts that no trigger writes.

use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;

/// Writes that `action` was done to a user's account, at most a hundred times an hour.
pub(crate) async fn write(
    client: &Client,
    action: &str,
    log_type: &str,
    user: Uuid,
    mut traits: Value,
) -> Result<(), Fault> {
    traits["user_id"] = user.to_string().into();
    let details = json!({ "log_type": log_type, "traits": traits });
    let sql = "select auth.audit_repeated($1, $2, $3)";
    client.query_typed(sql, &[(&action, Type::TEXT), (&user, Type::UUID), (&details, Type::JSONB)]).await?;
    Ok(())
}
