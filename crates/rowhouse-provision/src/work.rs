//! What each step does, and how it is taken back. Each may be repeated, and is one transaction with the note that it was done. Leaves their
//! order in time to `run` and `undo`, the project's hook to `hook`, and letters to `welcome`.

use rowhouse_db::DbError;
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::error::StepError;
use crate::settings::ProvisionSettings;
use crate::store::{Bound, Subject};

/// Most members that a step adds.
const MOST_MEMBERS: i64 = 100;

/// The tenant is open, and stays as it is until the transaction ends.
pub(crate) async fn records(tx: &Client, subject: &Subject) -> Result<Value, StepError> {
    let sql = "select t.slug from tenancy.tenants t
               join tenancy.organizations o on o.id = t.organization_id and o.is_open
               where t.id = $1 and t.is_open for no key update of t";
    match tx.query_typed_opt(sql, &[(&subject.id, Type::UUID)]).await? {
        Some(_) => Ok(json!({ "tenant_id": subject.id })),
        None => Err(StepError::Fatal("the tenant or its organization is gone or closed".to_owned())),
    }
}

/// Makes the organization's owners members, unless they are: a tenant that a service has made would have none.
pub(crate) async fn roles(tx: &Client, subject: &Subject) -> Result<Value, StepError> {
    let sql = "insert into tenancy.memberships (tenant_id, user_id, role)
               select $1, m.user_id, 'owner' from tenancy.organization_members m
               where m.organization_id = $2 and m.role = 'owner' and m.status = 'active'
               order by m.user_id limit $3
               on conflict do nothing returning user_id";
    let parameters: [Bound<'_>; 3] =
        [(&subject.id, Type::UUID), (&subject.organization_id, Type::UUID), (&MOST_MEMBERS, Type::INT8)];
    let rows = tx.query_typed(sql, &parameters).await?;
    let added: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(json!({ "added": added }))
}

pub(crate) async fn undo_roles(tx: &Client, subject: &Subject, result: &Value) -> Result<(), DbError> {
    let added: Vec<Uuid> = serde_json::from_value(result["added"].clone()).unwrap_or_default();
    let sql = "delete from tenancy.memberships where tenant_id = $1 and user_id = any ($2)";
    tx.execute_typed(sql, &[(&subject.id, Type::UUID), (&added, Type::UUID_ARRAY)]).await?;
    Ok(())
}

/// Plan and, for a new tenant, trial, where it has none.
pub(crate) async fn defaults(
    tx: &Client,
    subject: &Subject,
    settings: &ProvisionSettings,
) -> Result<Value, StepError> {
    let sql = "select t.plan, t.status from tenancy.tenants t where t.id = $1 for no key update";
    let before = tx.query_typed_one(sql, &[(&subject.id, Type::UUID)]).await?;
    let (plan, status): (Option<String>, String) = (before.try_get(0)?, before.try_get(1)?);
    let has_trial = subject.is_new && !settings.trial.is_zero() && status == "active";
    let sql = "update tenancy.tenants set plan = coalesce(plan, $2), updated_at = clock_timestamp(),
                 status = case when $3 then 'trial' else status end,
                 trial_ends_at = case when $3 then clock_timestamp() + make_interval(secs => $4) else trial_ends_at end
               where id = $1";
    let parameters: [Bound<'_>; 4] = [
        (&subject.id, Type::UUID),
        (&settings.plan, Type::TEXT),
        (&has_trial, Type::BOOL),
        (&settings.trial.as_secs_f64(), Type::FLOAT8),
    ];
    tx.execute_typed(sql, &parameters).await?;
    let given = if plan.is_none() { settings.plan.clone() } else { None };
    Ok(json!({ "plan": given, "trial": has_trial }))
}

pub(crate) async fn undo_defaults(tx: &Client, subject: &Subject, result: &Value) -> Result<(), DbError> {
    let (plan, had_trial) = (result["plan"].as_str(), result["trial"] == Value::Bool(true));
    let sql = "update tenancy.tenants set plan = case when plan = $2 then null else plan end,
                 status = case when $3 and status = 'trial' then 'active' else status end,
                 trial_ends_at = case when $3 then null else trial_ends_at end
               where id = $1";
    let parameters: [Bound<'_>; 3] =
        [(&subject.id, Type::UUID), (&plan, Type::TEXT), (&had_trial, Type::BOOL)];
    tx.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Reserves the beginning of the names of its files.
pub(crate) async fn storage(tx: &Client, subject: &Subject) -> Result<Value, StepError> {
    let prefix = format!("tenants/{}/", subject.id);
    let sql = "insert into provisioning.storage_prefixes (tenant_id, prefix) values ($1, $2) on conflict do nothing";
    tx.execute_typed(sql, &[(&subject.id, Type::UUID), (&prefix, Type::TEXT)]).await?;
    Ok(json!({ "prefix": prefix }))
}

pub(crate) async fn undo_storage(tx: &Client, subject: &Subject) -> Result<(), DbError> {
    let sql = "delete from provisioning.storage_prefixes where tenant_id = $1";
    tx.execute_typed(sql, &[(&subject.id, Type::UUID)]).await?;
    Ok(())
}

/// Removes the tenant, if it was made for this run. What the schema says to it, for the audit log.
pub(crate) async fn undo_records(tx: &Client, subject: &Subject) -> Result<String, DbError> {
    if !subject.is_new {
        return Ok("kept".to_owned());
    }
    let sql = "select provisioning.remove_tenant($1)";
    Ok(tx.query_typed_one(sql, &[(&subject.id, Type::UUID)]).await?.try_get(0)?)
}
