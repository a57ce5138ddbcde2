//! The first operator: a token, made by a command, with which a signed-in user becomes super_admin. It works once.

use std::time::Duration;

use rowhouse_audit::Entry;
use rowhouse_crypto::{OpaqueSecret, digest_hex};
use rowhouse_db::{Control, DbError, Transaction, TransactionError};
use rowhouse_kernel::{Operation, Origin, Rng};
use serde_json::{Map, json};
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// Why there is no token, or none by which this user becomes operator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootstrapError {
    /// None was made, it has been used, or it has expired.
    #[error("there is no open bootstrap")]
    Closed,
    #[error("this is not the bootstrap's token")]
    WrongToken,
    /// An operator has to be somebody.
    #[error("an operator needs a confirmed address")]
    NotConfirmed,
    #[error("there is an operator with the role super_admin already; use `rowhouse admin grant`")]
    NotTheFirst,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<tokio_postgres::Error> for BootstrapError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl TransactionError for BootstrapError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// A token, shown once.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) token: OpaqueSecret,
    pub(crate) expires_at: OffsetDateTime,
}

/// Makes the token; one that was made before stops working.
pub(crate) async fn open(
    control: &Control,
    origin: &Origin,
    rng: &dyn Rng,
    lifetime: Duration,
) -> Result<Opened, BootstrapError> {
    let operation = origin.operation("operators.open_bootstrap");
    let token = OpaqueSecret::generate(rng);
    let (digest, now) = (token.digest(), operation.now());
    let expires_at = now + lifetime;
    let (digest, actor) = (&digest, &origin.actor.to_string());
    let open = async |tx: &Transaction<'_>| -> Result<(), BootstrapError> {
        if has_super_admin(tx).await? {
            return Err(BootstrapError::NotTheFirst);
        }
        delete_unused(tx).await?;
        let sql = "insert into operators.bootstrap_tokens (digest, created_by, created_at, expires_at)
                   values ($1, $2, $3, $4)";
        let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
            (digest, Type::TEXT),
            (actor, Type::TEXT),
            (&now, Type::TIMESTAMPTZ),
            (&expires_at, Type::TIMESTAMPTZ),
        ];
        tx.execute_typed(sql, &parameters).await?;
        audit(tx, "bootstrap_opened", ("bootstrap", "token"), Map::new()).await
    };
    control.run_tx(&operation, open).await?;
    Ok(Opened { token, expires_at })
}

/// Takes back a token that was not used. Whether there was one.
pub(crate) async fn close(control: &Control, origin: &Origin) -> Result<bool, BootstrapError> {
    let close = async |tx: &Transaction<'_>| -> Result<bool, BootstrapError> {
        let closed = delete_unused(tx).await?;
        if closed {
            audit(tx, "bootstrap_closed", ("bootstrap", "token"), Map::new()).await?;
        }
        Ok(closed)
    };
    control.run_tx(&origin.operation("operators.close_bootstrap"), close).await
}

/// Until when a token can be used; `None` when there is none.
pub(crate) async fn open_until(
    control: &Control,
    operation: &Operation,
) -> Result<Option<OffsetDateTime>, DbError> {
    let now = operation.now();
    let find = async move |client: &Client| {
        let sql = "select b.expires_at from operators.bootstrap_tokens b where b.used_at is null and b.expires_at > $1";
        let row = client.query_typed_opt(sql, &[(&now, Type::TIMESTAMPTZ)]).await?;
        Ok::<_, DbError>(row.map(|row| row.try_get(0)).transpose()?)
    };
    control.statement(operation, find).await
}

/// Makes the user super_admin and the token useless.
pub(crate) async fn redeem(
    tx: &Transaction<'_>,
    user: Uuid,
    token: &str,
    now: OffsetDateTime,
) -> Result<(), BootstrapError> {
    let sql = "select b.digest from operators.bootstrap_tokens b
               where b.used_at is null and b.expires_at > $1 for update";
    let open = tx.query_typed_opt(sql, &[(&now, Type::TIMESTAMPTZ)]).await?;
    let open: String = open.ok_or(BootstrapError::Closed)?.try_get(0)?;
    if open != digest_hex(token) {
        return Err(BootstrapError::WrongToken);
    }
    if has_super_admin(tx).await? {
        return Err(BootstrapError::Closed);
    }
    if !is_confirmed(tx, user).await? {
        return Err(BootstrapError::NotConfirmed);
    }
    let sql = "update operators.bootstrap_tokens set used_at = $2, used_by = $3 where digest = $1";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&open, Type::TEXT), (&now, Type::TIMESTAMPTZ), (&user, Type::UUID)];
    tx.execute_typed(sql, &parameters).await?;
    let sql = "insert into tenancy.operators (user_id, role, reason) values ($1, 'super_admin', 'bootstrap')
               on conflict (user_id) do update
               set role = excluded.role, expires_at = null, granted_by = excluded.granted_by, reason = excluded.reason";
    tx.execute_typed(sql, &[(&user, Type::UUID)]).await?;
    let details = json!({ "role": "super_admin", "reason": "bootstrap" });
    let details = details.as_object().cloned().unwrap_or_default();
    audit(tx, "operator_granted", ("user", &user.to_string()), details).await
}

async fn delete_unused(tx: &Client) -> Result<bool, BootstrapError> {
    Ok(tx.execute_typed("delete from operators.bootstrap_tokens where used_at is null", &[]).await? > 0)
}

/// One for some minutes does not count: who reaches the database by command can make one at any time.
async fn has_super_admin(tx: &Client) -> Result<bool, BootstrapError> {
    let sql = "select exists (select from tenancy.operators o where o.role = 'super_admin' and o.expires_at is null)";
    Ok(tx.query_typed_one(sql, &[]).await?.try_get(0)?)
}

async fn is_confirmed(tx: &Client, user: Uuid) -> Result<bool, BootstrapError> {
    let sql = "select exists (select from auth.users u where u.id = $1 and u.email_confirmed_at is not null
                 and not u.is_anonymous and u.deleted_at is null)";
    Ok(tx.query_typed_one(sql, &[(&user, Type::UUID)]).await?.try_get(0)?)
}

async fn audit(
    tx: &Client,
    action: &str,
    (target_kind, target_id): (&str, &str),
    details: Map<String, serde_json::Value>,
) -> Result<(), BootstrapError> {
    let entry = Entry { source: "tenancy", action, target_kind, target_id, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    Ok(())
}
