//! Runs and their steps, as functions that take a client. Leaves deciding to `run` and `undo`, and beginning them to the schema.

use rowhouse_db::DbError;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::step::Step;

/// A bound value with its type.
pub(crate) type Bound<'a> = (&'a (dyn ToSql + Sync), Type);

/// A tenant, as the project's hook is told of it. What is gone is empty.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subject {
    pub(crate) id: Uuid,
    pub(crate) organization_id: Uuid,
    pub(crate) name: Option<String>,
    pub(crate) slug: Option<String>,
    pub(crate) plan: Option<String>,
    /// Whether the tenant was made for this run.
    pub(crate) is_new: bool,
}

/// The run's tenant.
pub(crate) async fn subject(client: &Client, tenant: Uuid) -> Result<Option<Subject>, DbError> {
    let sql = "select r.tenant_id, r.organization_id, r.is_new, t.name, t.slug, t.plan
               from provisioning.runs r left join tenancy.tenants t on t.id = r.tenant_id where r.tenant_id = $1";
    let Some(row) = client.query_typed_opt(sql, &[(&tenant, Type::UUID)]).await? else { return Ok(None) };
    Ok(Some(Subject {
        id: row.try_get("tenant_id")?,
        organization_id: row.try_get("organization_id")?,
        name: row.try_get("name")?,
        slug: row.try_get("slug")?,
        plan: row.try_get("plan")?,
        is_new: row.try_get("is_new")?,
    }))
}

/// Counts another run of the job, in which steps are taken (`running`) or taken back (`undoing`); `None` if the run is not for that.
pub(crate) async fn begin_run(client: &Client, tenant: Uuid, is_undo: bool) -> Result<Option<i32>, DbError> {
    let sql = "update provisioning.runs set updated_at = clock_timestamp(),
                 attempts = attempts + case when $2 then 0 else 1 end,
                 status = case when $2 then 'undoing' else 'running' end
               where tenant_id = $1 and case when $2 then status = 'undoing' else status in ('pending', 'running') end
               returning attempts";
    let row = client.query_typed_opt(sql, &[(&tenant, Type::UUID), (&is_undo, Type::BOOL)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Locks the run until the transaction ends, and gives its sign of life. Whether it has this status.
pub(crate) async fn lock_run(client: &Client, tenant: Uuid, status: &str) -> Result<bool, DbError> {
    let sql =
        "update provisioning.runs set updated_at = clock_timestamp() where tenant_id = $1 and status = $2";
    Ok(client.execute_typed(sql, &[(&tenant, Type::UUID), (&status, Type::TEXT)]).await? > 0)
}

/// Ends the run: `done` or `undone`. Whether it was not ended before.
pub(crate) async fn end_run(client: &Client, tenant: Uuid, is_undo: bool) -> Result<bool, DbError> {
    let sql = "update provisioning.runs set updated_at = clock_timestamp(), finished_at = clock_timestamp(),
                 status = case when $2 then 'undone' else 'done' end, error = case when $2 then error end
               where tenant_id = $1 and status = case when $2 then 'undoing' else 'running' end";
    Ok(client.execute_typed(sql, &[(&tenant, Type::UUID), (&is_undo, Type::BOOL)]).await? > 0)
}

/// Begins to roll the run back; false if it has ended or is being rolled back already.
pub(crate) async fn begin_undo(client: &Client, tenant: Uuid, reason: &str) -> Result<bool, DbError> {
    let sql = "select provisioning.undo($1, $2)";
    Ok(client.query_typed_one(sql, &[(&tenant, Type::UUID), (&reason, Type::TEXT)]).await?.try_get(0)?)
}

/// Writes an audit entry and an event about the run.
pub(crate) async fn record(
    client: &Client,
    tenant: Uuid,
    action: &str,
    details: &Value,
) -> Result<(), DbError> {
    let parameters: [Bound<'_>; 3] = [(&tenant, Type::UUID), (&action, Type::TEXT), (details, Type::JSONB)];
    client.query_typed("select provisioning.record($1, $2, $3)", &parameters).await?;
    Ok(())
}

/// The steps that have these statuses, in their order.
pub(crate) async fn steps(
    client: &Client,
    tenant: Uuid,
    statuses: &[&str],
) -> Result<Vec<(Step, Value)>, DbError> {
    let sql = "select s.name, s.result from provisioning.steps s
               where s.tenant_id = $1 and s.status = any ($2) order by s.position";
    let rows = client.query_typed(sql, &[(&tenant, Type::UUID), (&statuses, Type::TEXT_ARRAY)]).await?;
    let mut steps = Vec::new();
    for row in &rows {
        let name: String = row.try_get(0)?;
        if let Some(step) = Step::read(&name) {
            steps.push((step, row.try_get(1)?));
        }
    }
    Ok(steps)
}

/// Sets what has become of a step; a step that has begun is counted.
pub(crate) async fn set_step(
    client: &Client,
    tenant: Uuid,
    step: Step,
    status: &str,
    result: Option<&Value>,
) -> Result<(), DbError> {
    let sql = "update provisioning.steps set status = $3, result = coalesce($4, result),
                 error = case when $3 = 'begun' then error end,
                 attempts = attempts + case when $3 = 'done' and status = 'pending' or $3 = 'begun' then 1 else 0 end,
                 started_at = coalesce(started_at, clock_timestamp()),
                 finished_at = case when $3 in ('done', 'undone') then clock_timestamp() end
               where tenant_id = $1 and name = $2";
    let parameters: [Bound<'_>; 4] =
        [(&tenant, Type::UUID), (&step.name(), Type::TEXT), (&status, Type::TEXT), (&result, Type::JSONB)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Notes why a step was not done, or not taken back. What began a rollback stays the run's error.
pub(crate) async fn note_failure(
    client: &Client,
    tenant: Uuid,
    step: Step,
    error: &str,
) -> Result<(), DbError> {
    let sql = "with noted as (
                 update provisioning.steps set error = left($3, 500), started_at = coalesce(started_at, clock_timestamp()),
                   attempts = attempts + case status when 'pending' then 1 else 0 end
                 where tenant_id = $1 and name = $2)
               update provisioning.runs set updated_at = clock_timestamp(),
                 error = case when status = 'undoing' then error else left($2 || ': ' || $3, 500) end
               where tenant_id = $1";
    let parameters: [Bound<'_>; 3] =
        [(&tenant, Type::UUID), (&step.name(), Type::TEXT), (&error, Type::TEXT)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// The tenant's run as it is shown.
pub(crate) async fn find(client: &Client, tenant: Uuid) -> Result<Option<Value>, DbError> {
    let row = client.query_typed_one("select tenancy.provisioning_of($1)", &[(&tenant, Type::UUID)]).await?;
    Ok(row.try_get(0)?)
}

/// Begins to provision; false if nothing has begun.
pub(crate) async fn provision(client: &Client, tenant: Uuid) -> Result<bool, DbError> {
    let row = client.query_typed_one("select tenancy.provision($1, false)", &[(&tenant, Type::UUID)]).await?;
    Ok(row.try_get(0)?)
}
