//! Quotas of a tenant and what it has used: `tenancy.tenant_quotas`, `tenancy.usage`.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::Bound;

/// When something is counted anew, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Period {
    /// Never: what there is, such as bytes.
    None,
    /// At midnight.
    Day,
    /// On the first of the month.
    #[default]
    Month,
}

impl Period {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "none" => Self::None,
            "day" => Self::Day,
            _ => Self::Month,
        }
    }
}

/// How much may be used of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quota {
    /// `users`, `api_calls`, `storage`, or a name of the product's own.
    #[schemars(length(min = 1, max = 63))]
    pub(crate) metric: String,
    /// From here on there is an event.
    pub(crate) soft_limit: Option<i64>,
    /// Beyond it is refused; null: without limit.
    pub(crate) hard_limit: Option<i64>,
    /// `month` if it is not given; `none` for `users`.
    #[serde(default)]
    pub(crate) period: Period,
}

impl Quota {
    pub(super) fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            metric: row.try_get("metric")?,
            soft_limit: row.try_get("soft_limit")?,
            hard_limit: row.try_get("hard_limit")?,
            period: Period::named(row.try_get("period")?),
        })
    }
}

/// A metric of a tenant in the present period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Usage {
    #[serde(flatten)]
    pub(crate) quota: Quota,
    /// Whether the quota is the tenant's own, in place of its plan's.
    pub(crate) is_own: bool,
    /// First day of the period; null where there is none.
    #[schemars(extend("format" = "date"))]
    pub(crate) period_start: Option<String>,
    pub(crate) used: i64,
    /// Until the hard limit; null without one.
    pub(crate) remaining: Option<i64>,
}

impl Usage {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let (quota, used): (Quota, i64) = (Quota::from_row(row)?, row.try_get("used")?);
        let remaining = quota.hard_limit.map(|most| most.saturating_sub(used).max(0));
        Ok(Self {
            quota,
            is_own: row.try_get("is_own")?,
            period_start: row.try_get("period_start")?,
            used,
            remaining,
        })
    }
}

/// What a tenant has used in the present periods, beside its quotas.
pub(crate) async fn list_usage(client: &Client, tenant: TenantId) -> Result<Vec<Usage>, DbError> {
    let sql =
        "select metric, soft_limit, hard_limit, period, is_own, period_start::text as period_start, used
               from tenancy.usage_of($1)";
    let rows = client.query_typed(sql, &[(&tenant.0, Type::UUID)]).await?;
    Ok(rows.iter().map(Usage::from_row).collect::<Result<_, _>>()?)
}

/// What was used in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Used {
    pub(crate) metric: String,
    pub(crate) period: Period,
    /// First day of the period; null where there is none.
    #[schemars(extend("format" = "date"))]
    pub(crate) period_start: Option<String>,
    pub(crate) used: i64,
}

/// What was counted, the newest period first, behind a position: the first day as PostgreSQL writes it, and the metric.
pub(crate) async fn list_past_usage(
    client: &Client,
    tenant: TenantId,
    metric: Option<&str>,
    after: Option<&(String, String)>,
    limit: u32,
) -> Result<Vec<(Used, String)>, DbError> {
    let sql = "select u.metric, u.period, u.used, u.period_start::text as position,
                 nullif(u.period_start, date '-infinity')::text as period_start
               from tenancy.usage u
               where u.tenant_id = $1 and ($2::text is null or u.metric = $2)
                 and ($3::text is null or u.period_start < $3::date or u.period_start = $3::date and u.metric || u.period > $4)
               order by u.period_start desc, u.metric || u.period limit $5";
    let (day, name) = after.map(|(day, name)| (day.as_str(), name.as_str())).unzip();
    let limit = i64::from(limit);
    let parameters: [Bound<'_>; 5] = [
        (&tenant.0, Type::UUID),
        (&metric, Type::TEXT),
        (&day, Type::TEXT),
        (&name, Type::TEXT),
        (&limit, Type::INT8),
    ];
    let rows = client.query_typed(sql, &parameters).await?;
    let read = |row: &Row| {
        let period = Period::named(row.try_get("period")?);
        let (metric, used) = (row.try_get("metric")?, row.try_get("used")?);
        let used = Used { metric, period, period_start: row.try_get("period_start")?, used };
        Ok::<_, tokio_postgres::Error>((used, row.try_get("position")?))
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Puts these quotas in the place of the tenant's own.
pub(crate) async fn replace_own(client: &Client, tenant: TenantId, quotas: &[Quota]) -> Result<(), DbError> {
    let sql = "delete from tenancy.tenant_quotas where tenant_id = $1";
    client.execute_typed(sql, &[(&tenant.0, Type::UUID)]).await?;
    let sql = "insert into tenancy.tenant_quotas (tenant_id, metric, soft_limit, hard_limit, period) values ($1, $2, $3, $4, $5)";
    for quota in quotas {
        client.execute_typed(sql, &quota.bound(&(&tenant.0, Type::UUID), &quota.period.name())).await?;
    }
    Ok(())
}

impl Quota {
    /// Its values behind the owner's.
    pub(super) fn bound<'a>(&'a self, owner: &Bound<'a>, period: &'a &'static str) -> [Bound<'a>; 5] {
        [
            owner.clone(),
            (&self.metric, Type::TEXT),
            (&self.soft_limit, Type::INT8),
            (&self.hard_limit, Type::INT8),
            (period, Type::TEXT),
        ]
    }
}

/// Gives a tenant a plan, or takes it; with a trial of so many days it is in trial from now on, if it is active.
pub(crate) async fn set_plan(
    client: &Client,
    tenant: TenantId,
    plan: Option<&str>,
    trial_days: Option<i32>,
) -> Result<(), DbError> {
    let sql = "update tenancy.tenants t set plan = $2, updated_at = clock_timestamp(),
                 status = case when $3::int is not null and t.status = 'active' then 'trial' else t.status end,
                 trial_ends_at = case when $3 is not null and t.is_open
                   then clock_timestamp() + make_interval(days => $3) else t.trial_ends_at end
               where t.id = $1";
    let parameters: [Bound<'_>; 3] =
        [(&tenant.0, Type::UUID), (&plan, Type::TEXT), (&trial_days, Type::INT4)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}
