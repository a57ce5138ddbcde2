//! `operators.bulk_jobs` and their items. What an item does is in `operators.do_item`; inviting is left to `bulk`.

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::search::Filter;

/// What is done to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BulkAction")]
pub(crate) enum Action {
    /// Opens accounts again.
    Activate,
    /// Closes them, and ends their sessions.
    Suspend,
    /// Writes down what they are.
    Export,
    /// Invites addresses to an organization.
    Invite,
    /// Deletes them with what depends on them.
    Delete,
}

impl Action {
    pub(crate) const ALL: [Self; 5] =
        [Self::Activate, Self::Suspend, Self::Export, Self::Invite, Self::Delete];
    pub(crate) const NAMES: [&str; 5] = ["activate", "suspend", "export", "invite", "delete"];

    /// As stored.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// A bulk job.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct BulkJob {
    pub(crate) id: Uuid,
    pub(crate) action: Action,
    pub(crate) reason: Option<String>,
    /// Whom it was asked for, and of an invitation organization and role.
    pub(crate) parameters: Value,
    pub(crate) dry_run: bool,
    /// `running`, `done` or `cancelled`.
    pub(crate) state: String,
    /// Users or addresses.
    pub(crate) total: i32,
    pub(crate) succeeded: i32,
    /// There was nothing to do.
    pub(crate) skipped: i32,
    pub(crate) failed: i32,
    /// Who asked for it: a user's id, `service_role`, or `operator:NAME` of a command.
    pub(crate) created_by: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) ended_at: Option<String>,
}

const COLUMNS: &str = "j.id, j.action, j.reason, j.parameters, j.is_dry_run, j.state, j.total, j.succeeded, j.skipped, j.failed,
  j.created_by, to_jsonb(j.created_at at time zone 'UTC') #>> '{}' || 'Z' as created_at,
  to_jsonb(j.ended_at at time zone 'UTC') #>> '{}' || 'Z' as ended_at";

impl BulkJob {
    fn from_row(row: &Row) -> Result<Self, DbError> {
        let action: String = row.try_get("action")?;
        let unknown = || DbError::Protocol(format!("an unknown action: {action}").into());
        Ok(Self {
            id: row.try_get("id")?,
            action: Action::parse(&action).ok_or_else(unknown)?,
            reason: row.try_get("reason")?,
            parameters: row.try_get("parameters")?,
            dry_run: row.try_get("is_dry_run")?,
            state: row.try_get("state")?,
            total: row.try_get("total")?,
            succeeded: row.try_get("succeeded")?,
            skipped: row.try_get("skipped")?,
            failed: row.try_get("failed")?,
            created_by: row.try_get("created_by")?,
            created_at: row.try_get("created_at")?,
            ended_at: row.try_get("ended_at")?,
        })
    }

    /// Items with an outcome.
    pub(crate) fn ended(&self) -> i32 {
        self.succeeded + self.skipped + self.failed
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == "running"
    }
}

/// One to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewJob<'a> {
    pub(crate) id: Uuid,
    pub(crate) action: Action,
    pub(crate) reason: Option<&'a str>,
    pub(crate) parameters: &'a Value,
    pub(crate) dry_run: bool,
    pub(crate) actor: &'a str,
}

/// Makes one without items.
pub(crate) async fn create(tx: &Client, new: &NewJob<'_>) -> Result<(), DbError> {
    let sql = "insert into operators.bulk_jobs (id, action, reason, parameters, is_dry_run, created_by)
               values ($1, $2, $3, $4, $5, $6)";
    let action = new.action.name();
    let parameters: [Bound<'_>; 6] = [
        (&new.id, Type::UUID),
        (&action, Type::TEXT),
        (&new.reason, Type::TEXT),
        (&new.parameters, Type::JSONB),
        (&new.dry_run, Type::BOOL),
        (&new.actor, Type::TEXT),
    ];
    tx.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Adds the users who fit; more than `most` only as far as shows that there are.
pub(crate) async fn add_fitting(tx: &Client, job: Uuid, filter: &Filter, most: i64) -> Result<(), DbError> {
    let fit = filter.fit();
    let condition = fit.condition();
    let sql = format!(
        "insert into operators.bulk_items (bulk_job_id, number, user_id)
         select $8, row_number() over (order by f.id), f.id
         from (select u.id from auth.users u where {condition} order by u.id limit $9) f"
    );
    let (most, mut parameters) = (most + 1, fit.parameters());
    let others: [Bound<'_>; 2] = [(&job, Type::UUID), (&most, Type::INT8)];
    parameters.extend(others);
    tx.execute_typed(&sql, &parameters).await?;
    Ok(())
}

/// Adds these users, each once.
pub(crate) async fn add_users(tx: &Client, job: Uuid, users: &[Uuid]) -> Result<(), DbError> {
    let sql = "insert into operators.bulk_items (bulk_job_id, number, user_id)
               select $1, row_number() over (order by n.at), n.id
               from (select u.id, min(u.at) as at from unnest($2) with ordinality u (id, at) group by u.id) n";
    tx.execute_typed(sql, &[(&job, Type::UUID), (&users, Type::UUID_ARRAY)]).await?;
    Ok(())
}

/// Adds these addresses, each once in whatever case.
pub(crate) async fn add_addresses(tx: &Client, job: Uuid, emails: &[String]) -> Result<(), DbError> {
    let sql = "insert into operators.bulk_items (bulk_job_id, number, email)
               select $1, row_number() over (order by n.at), n.email
               from (select lower(e.email) as email, min(e.at) as at from unnest($2) with ordinality e (email, at)
                     group by lower(e.email)) n";
    tx.execute_typed(sql, &[(&job, Type::UUID), (&emails, Type::TEXT_ARRAY)]).await?;
    Ok(())
}

/// Writes down how many items there are; without any the job is done.
pub(crate) async fn count(tx: &Client, job: Uuid) -> Result<i32, DbError> {
    let sql = "update operators.bulk_jobs j
               set total = c.total, state = case when c.total = 0 then 'done' else j.state end,
                 ended_at = case when c.total = 0 then clock_timestamp() end
               from (select count(*)::int as total from operators.bulk_items i where i.bulk_job_id = $1) c
               where j.id = $1 returning j.total";
    Ok(tx.query_typed_one(sql, &[(&job, Type::UUID)]).await?.try_get(0)?)
}

/// Makes the failed items pending again. How many there were; nothing happens while the job runs.
pub(crate) async fn retry(tx: &Client, job: Uuid) -> Result<i32, DbError> {
    let sql = "with chosen as (
                 select j.id from operators.bulk_jobs j where j.id = $1 and j.state <> 'running' for update
               ), pending as (
                 update operators.bulk_items i set state = 'pending', error = null, ended_at = null
                 where i.bulk_job_id = (select c.id from chosen c) and i.state = 'failed' returning i.number
               ), left_over as (
                 select count(*) as items from operators.bulk_items i
                 where i.bulk_job_id = (select c.id from chosen c) and i.state = 'pending'
               ), counted as (select count(*)::int as failed from pending)
               update operators.bulk_jobs j set failed = j.failed - c.failed, state = 'running', ended_at = null
               from counted c, left_over l
               where j.id = (select c.id from chosen c) and c.failed + l.items > 0
               returning (c.failed + l.items)::int";
    let row = tx.query_typed_opt(sql, &[(&job, Type::UUID)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
}

/// Ends one after the batch that it is at. Whether it was running.
pub(crate) async fn cancel(tx: &Client, job: Uuid, why: Option<&str>) -> Result<bool, DbError> {
    let sql = "select operators.cancel_bulk_job($1, $2)";
    Ok(tx.query_typed_one(sql, &[(&job, Type::UUID), (&why, Type::TEXT)]).await?.try_get(0)?)
}

/// Does the next items. Whether it goes on.
pub(crate) async fn do_batch(tx: &Client, job: Uuid, most: i32) -> Result<bool, DbError> {
    let sql = "select operators.do_batch($1, $2)";
    Ok(tx.query_typed_one(sql, &[(&job, Type::UUID), (&most, Type::INT4)]).await?.try_get(0)?)
}

/// One.
pub(crate) async fn find(client: &Client, id: Uuid) -> Result<Option<BulkJob>, DbError> {
    let sql = format!("select {COLUMNS} from operators.bulk_jobs j where j.id = $1");
    client.query_typed_opt(&sql, &[(&id, Type::UUID)]).await?.as_ref().map(BulkJob::from_row).transpose()
}

/// Bulk jobs, the newest first; ids are in the order of time.
pub(crate) async fn list(client: &Client, before: Option<Uuid>, limit: u32) -> Result<Vec<BulkJob>, DbError> {
    let sql = format!(
        "select {COLUMNS} from operators.bulk_jobs j where $1::uuid is null or j.id < $1 order by j.id desc limit $2"
    );
    let limit = i64::from(limit);
    let rows = client.query_typed(&sql, &[(&before, Type::UUID), (&limit, Type::INT8)]).await?;
    rows.iter().map(BulkJob::from_row).collect()
}

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Item {
    pub(crate) number: i32,
    pub(crate) user_id: Option<Uuid>,
    pub(crate) email: Option<String>,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
    /// What an export has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
}

/// Items behind a number.
pub(crate) async fn items(client: &Client, job: Uuid, after: i32, most: i64) -> Result<Vec<Item>, DbError> {
    let sql = "select i.number, i.user_id, i.email, i.state, i.error, i.result from operators.bulk_items i
               where i.bulk_job_id = $1 and i.number > $2 order by i.number limit $3";
    let parameters: [Bound<'_>; 3] = [(&job, Type::UUID), (&after, Type::INT4), (&most, Type::INT8)];
    let read = |row: &Row| {
        Ok::<_, DbError>(Item {
            number: row.try_get("number")?,
            user_id: row.try_get("user_id")?,
            email: row.try_get("email")?,
            state: row.try_get("state")?,
            error: row.try_get("error")?,
            result: row.try_get("result")?,
        })
    };
    client.query_typed(sql, &parameters).await?.iter().map(read).collect()
}
