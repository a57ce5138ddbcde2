//! Items of bulk jobs that invite: one at a time, since each writes a letter.

use rowhouse_db::DbError;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Bound;

/// The next address to invite.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    pub(crate) number: i32,
    pub(crate) email: String,
    pub(crate) dry_run: bool,
    /// Organization and role.
    pub(crate) parameters: Value,
}

/// The first pending item of a running job; the job's row is locked first.
pub(crate) async fn lock_next(tx: &Client, job: Uuid) -> Result<Option<Next>, DbError> {
    let sql = "select j.is_dry_run, j.parameters, operators.may_run(j.created_by, j.action) as may_run
               from operators.bulk_jobs j where j.id = $1 and j.state = 'running' for update";
    let Some(row) = tx.query_typed_opt(sql, &[(&job, Type::UUID)]).await? else { return Ok(None) };
    if !row.try_get::<_, bool>("may_run")? {
        super::bulk::cancel(tx, job, Some("who asked for it may not do it any more")).await?;
        return Ok(None);
    }
    let sql = "select i.number, i.email from operators.bulk_items i
               where i.bulk_job_id = $1 and i.state = 'pending' order by i.number limit 1";
    let Some(item) = tx.query_typed_opt(sql, &[(&job, Type::UUID)]).await? else { return Ok(None) };
    Ok(Some(Next {
        number: item.try_get("number")?,
        email: item.try_get("email")?,
        dry_run: row.try_get("is_dry_run")?,
        parameters: row.try_get("parameters")?,
    }))
}

/// Writes down what became of an item; it failed if there is a reason. Whether the job goes on.
pub(crate) async fn end(tx: &Client, job: Uuid, number: i32, why: Option<&str>) -> Result<bool, DbError> {
    let sql = "select operators.end_item(i, case when $3::text is null then 'done' else 'error' end, $3, null, null) = 'done'
               from operators.bulk_items i where i.bulk_job_id = $1 and i.number = $2 and i.state = 'pending'";
    let parameters: [Bound<'_>; 3] = [(&job, Type::UUID), (&number, Type::INT4), (&why, Type::TEXT)];
    let Some(row) = tx.query_typed_opt(sql, &parameters).await? else { return Ok(true) };
    let succeeded = i32::from(row.try_get::<_, bool>(0)?);
    let failed = 1 - succeeded;
    let sql = "select operators.count_batch($1, $2, 0, $3)";
    let parameters: [Bound<'_>; 3] = [(&job, Type::UUID), (&succeeded, Type::INT4), (&failed, Type::INT4)];
    Ok(tx.query_typed_one(sql, &parameters).await?.try_get(0)?)
}
