//! Operators for an emergency: made by a command, for some minutes, with a reason.

use rowhouse_audit::Entry;
use rowhouse_db::{Control, DbError, Transaction, TransactionError};
use rowhouse_kernel::Origin;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// The roles of operators.
pub(crate) const ROLES: [&str; 3] = ["super_admin", "support", "auditor"];

/// Why nobody is made operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// What has no end is not replaced by what has one.
    #[error("this user is an operator without end already, with the role {0}")]
    Permanent(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<tokio_postgres::Error> for GrantError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl TransactionError for GrantError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            Self::Permanent(_) => None,
        }
    }
}

/// A role for some minutes.
#[derive(Debug, Clone)]
pub(crate) struct Grant<'a> {
    pub(crate) user: Uuid,
    pub(crate) role: &'a str,
    pub(crate) minutes: i64,
    pub(crate) reason: &'a str,
}

/// Makes the user an operator, in place of an earlier grant that ends. Returns until when.
pub(crate) async fn grant(
    control: &Control,
    origin: &Origin,
    grant: &Grant<'_>,
) -> Result<OffsetDateTime, GrantError> {
    let operation = origin.operation("operators.grant");
    let expires_at = operation.now() + Duration::minutes(grant.minutes);
    let write = async |tx: &Transaction<'_>| -> Result<(), GrantError> {
        let sql =
            "select o.role from tenancy.operators o where o.user_id = $1 and o.expires_at is null for update";
        if let Some(row) = tx.query_typed_opt(sql, &[(&grant.user, Type::UUID)]).await? {
            return Err(GrantError::Permanent(row.try_get(0)?));
        }
        let sql = "insert into tenancy.operators (user_id, role, expires_at, reason) values ($1, $2, $3, $4)
                   on conflict (user_id) do update set role = excluded.role, expires_at = excluded.expires_at,
                     granted_by = excluded.granted_by, reason = excluded.reason";
        let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
            (&grant.user, Type::UUID),
            (&grant.role, Type::TEXT),
            (&expires_at, Type::TIMESTAMPTZ),
            (&grant.reason, Type::TEXT),
        ];
        tx.execute_typed(sql, &parameters).await?;
        let details = json!({ "role": grant.role, "minutes": grant.minutes, "reason": grant.reason });
        audit(tx, "operator_granted", grant.user, details).await
    };
    control.run_tx(&operation, write).await?;
    Ok(expires_at)
}

/// Ends a grant before its time, or a role without end. Whether there was one.
pub(crate) async fn revoke(control: &Control, origin: &Origin, user: Uuid) -> Result<bool, GrantError> {
    let revoke = async |tx: &Transaction<'_>| -> Result<bool, GrantError> {
        let sql = "delete from tenancy.operators where user_id = $1 returning role";
        let Some(row) = tx.query_typed_opt(sql, &[(&user, Type::UUID)]).await? else { return Ok(false) };
        let role: String = row.try_get(0)?;
        audit(tx, "operator_revoked", user, json!({ "role": role })).await?;
        Ok(true)
    };
    control.run_tx(&origin.operation("operators.revoke"), revoke).await
}

async fn audit(
    tx: &Transaction<'_>,
    action: &str,
    user: Uuid,
    details: serde_json::Value,
) -> Result<(), GrantError> {
    let (target_kind, target_id) = ("user", &user.to_string());
    let details = details.as_object().cloned().unwrap_or_default();
    let entry = Entry { source: "tenancy", action, target_kind, target_id, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    Ok(())
}
