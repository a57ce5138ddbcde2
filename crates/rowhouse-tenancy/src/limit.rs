//! Limits of a tenant's callers: the table, and a copy of all rows in memory for requests.
//! Leaves enforcement to the data API, and reloading after changes to listeners on [`CHANNEL`].

use std::collections::HashMap;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use tokio_postgres::{Client, Row};

/// Notified whenever limits change.
pub const CHANNEL: &str = "rowhouse_limits";

const COLUMNS: &str =
    "(extract(epoch from l.statement_timeout) * 1000)::bigint as milliseconds, l.max_rows, l.max_cost";

/// Limits of one tenant; `None` is no limit of the tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Longest run of a statement; at least a millisecond.
    pub statement_timeout: Option<Duration>,
    /// Most rows that one response carries or one write touches; at least 1.
    pub max_rows: Option<i64>,
    /// Highest cost, in the planner's units, of a query that is run; above 0.
    pub max_cost: Option<f64>,
}

impl Limits {
    /// These limits, and those of `others` where one is missing.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            statement_timeout: self.statement_timeout.or(others.statement_timeout),
            max_rows: self.max_rows.or(others.max_rows),
            max_cost: self.max_cost.or(others.max_cost),
        }
    }

    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let milliseconds: Option<i64> = row.try_get("milliseconds")?;
        Ok(Self {
            statement_timeout: milliseconds
                .map(|number| Duration::from_millis(u64::try_from(number).unwrap_or(1).max(1))),
            max_rows: row.try_get("max_rows")?,
            max_cost: row.try_get("max_cost")?,
        })
    }
}

/// The limits of all tenants that have some. The table's trigger keeps their number bounded.
#[derive(Debug, Default)]
pub struct TenantLimits(ArcSwapOption<HashMap<TenantId, Limits>>);

impl TenantLimits {
    /// Limits of `tenant`, none where it has none. The outer `None`: they have not been loaded yet.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> Option<Limits> {
        let all = self.0.load();
        let all = all.as_ref()?;
        // Most installations set no limits, and then nothing is hashed.
        if all.is_empty() {
            return Some(Limits::default());
        }
        Some(all.get(&tenant).copied().unwrap_or_default())
    }

    /// Reads all limits again.
    ///
    /// # Errors
    /// The database's; the limits in use then stay.
    pub async fn reload(&self, client: &Client) -> Result<(), DbError> {
        let sql = format!("select l.tenant_id, {COLUMNS} from tenancy.tenant_limits l");
        let mut all = HashMap::new();
        for row in client.query(&sql, &[]).await? {
            all.insert(TenantId(row.try_get(0)?), Limits::from_row(&row)?);
        }
        self.0.store(Some(all.into()));
        Ok(())
    }
}

/// The limits of `tenant`; `None` when there is no such tenant.
///
/// # Errors
/// The database's.
pub async fn find(client: &Client, tenant: TenantId) -> Result<Option<Limits>, DbError> {
    let sql = format!(
        "select {COLUMNS} from tenancy.tenants t left join tenancy.tenant_limits l on l.tenant_id = t.id where t.id = $1"
    );
    let row = client.query_opt(&sql, &[&tenant.0]).await?;
    Ok(row.as_ref().map(Limits::from_row).transpose()?)
}

/// Replaces the limits of `tenant`. Running servers are notified.
///
/// # Errors
/// The database's; 23514 when a limit is out of range.
pub async fn replace(client: &Client, tenant: TenantId, limits: Limits) -> Result<(), DbError> {
    if limits == Limits::default() {
        client.execute("delete from tenancy.tenant_limits where tenant_id = $1", &[&tenant.0]).await?;
        return Ok(());
    }
    let seconds = limits.statement_timeout.map(|timeout| timeout.as_secs_f64());
    let sql = "insert into tenancy.tenant_limits (tenant_id, statement_timeout, max_rows, max_cost)
        values ($1, make_interval(secs => $2), $3, $4)
        on conflict (tenant_id) do update set statement_timeout = excluded.statement_timeout,
          max_rows = excluded.max_rows, max_cost = excluded.max_cost, updated_at = now()";
    client.execute(sql, &[&tenant.0, &seconds, &limits.max_rows, &limits.max_cost]).await?;
    Ok(())
}
