//! `tenancy.plans` with `tenancy.plan_quotas`.

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::Bound;
use super::quota::Quota;

/// What tenants can book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Plan {
    pub(crate) name: String,
    /// For people.
    pub(crate) title: String,
    /// Length of a trial; null: there is none.
    pub(crate) trial_days: Option<i32>,
    /// How much its tenants may use.
    pub(crate) quotas: Vec<Quota>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
    /// The transaction that wrote the row, which differs after every change.
    #[serde(skip)]
    pub(crate) version: String,
}

impl Plan {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            title: row.try_get("title")?,
            trial_days: row.try_get("trial_days")?,
            quotas: Vec::new(),
            updated_at: row.try_get("updated_at")?,
            version: row.try_get("version")?,
        })
    }
}

const SELECT: &str = "select p.name, p.title, p.trial_days, p.xmin::text as version,
    to_jsonb(p.updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at
  from tenancy.plans p where $1::text is null or p.name = $1 order by p.name";

/// All plans, or the one of this name.
pub(crate) async fn list(client: &Client, name: Option<&str>) -> Result<Vec<Plan>, DbError> {
    let rows = client.query_typed(SELECT, &[(&name, Type::TEXT)]).await?;
    let mut plans: Vec<Plan> = rows.iter().map(Plan::from_row).collect::<Result<_, _>>()?;
    let sql = "select plan, metric, soft_limit, hard_limit, period from tenancy.plan_quotas
               where $1::text is null or plan = $1 order by plan, metric";
    for row in client.query_typed(sql, &[(&name, Type::TEXT)]).await? {
        let of: &str = row.try_get("plan")?;
        if let Some(plan) = plans.iter_mut().find(|plan| plan.name == of) {
            plan.quotas.push(Quota::from_row(&row)?);
        }
    }
    Ok(plans)
}

/// The plan, if there is one.
pub(crate) async fn find(client: &Client, name: &str) -> Result<Option<Plan>, DbError> {
    Ok(list(client, Some(name)).await?.pop())
}

/// How many there are.
pub(crate) async fn count(client: &Client) -> Result<i64, DbError> {
    Ok(client.query_typed_one("select count(*) from tenancy.plans", &[]).await?.try_get(0)?)
}

/// How many tenants have a plan, deleted ones too.
pub(crate) async fn count_tenants(client: &Client, name: &str) -> Result<i64, DbError> {
    let sql = "select count(*) from tenancy.tenants where plan = $1";
    Ok(client.query_typed_one(sql, &[(&name, Type::TEXT)]).await?.try_get(0)?)
}

/// What a plan is.
#[derive(Debug, Clone)]
pub(crate) struct PlanContent<'a> {
    pub(crate) title: &'a str,
    pub(crate) trial_days: Option<i32>,
    pub(crate) quotas: &'a [Quota],
}

/// Makes or replaces a plan.
pub(crate) async fn put(client: &Client, name: &str, content: &PlanContent<'_>) -> Result<(), DbError> {
    let sql = "insert into tenancy.plans as p (name, title, trial_days) values ($1, $2, $3)
               on conflict (name) do update set title = excluded.title, trial_days = excluded.trial_days,
                 updated_at = clock_timestamp()";
    let parameters: [Bound<'_>; 3] =
        [(&name, Type::TEXT), (&content.title, Type::TEXT), (&content.trial_days, Type::INT4)];
    client.execute_typed(sql, &parameters).await?;
    client.execute_typed("delete from tenancy.plan_quotas where plan = $1", &[(&name, Type::TEXT)]).await?;
    let sql = "insert into tenancy.plan_quotas (plan, metric, soft_limit, hard_limit, period) values ($1, $2, $3, $4, $5)";
    for quota in content.quotas {
        client.execute_typed(sql, &quota.bound(&(&name, Type::TEXT), &quota.period.name())).await?;
    }
    Ok(())
}

/// Removes a plan; the schema refuses one that tenants have.
pub(crate) async fn remove(client: &Client, name: &str) -> Result<bool, DbError> {
    let sql = "delete from tenancy.plans where name = $1";
    Ok(client.execute_typed(sql, &[(&name, Type::TEXT)]).await? > 0)
}
