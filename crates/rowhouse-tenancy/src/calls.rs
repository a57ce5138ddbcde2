//! API calls of tenants: counted in memory, written every few seconds, and refused while a tenant is beyond its hard limit.
//! Leaves quotas and the counting of everything else to SQL (`tenancy.count_usage`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rowhouse_db::DbError;
use rowhouse_http::{CallMeter, UsageLimit};
use rowhouse_kernel::{SharedClock, TenantId};
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// Notified whenever quotas change.
pub(crate) const CHANNEL: &str = "rowhouse_quotas";
/// The metric.
const METRIC: &str = "api_calls";
/// Parts of the table, so that requests seldom wait for each other.
const SHARDS: usize = 16;
/// Most tenants of a part between two writes: together 10 MB.
const MOST_TENANTS: usize = 10_000;
/// Most tenants that are refused at a time.
const MOST_REFUSED: i32 = 100_000;

/// What a tenant has used up.
#[derive(Debug, Clone, Copy)]
struct Beyond {
    limit: i64,
    used: i64,
    /// When it may call again; `None`: not by itself.
    until: Option<OffsetDateTime>,
}

/// The calls of this process that have not been written yet, and the tenants that are refused.
#[derive(Debug)]
pub(crate) struct Calls {
    counted: [Mutex<HashMap<TenantId, i64>>; SHARDS],
    beyond: ArcSwap<HashMap<TenantId, Beyond>>,
    /// Calls of more tenants than fit.
    uncounted: AtomicU64,
    clock: SharedClock,
}

impl Calls {
    pub(crate) fn new(clock: SharedClock) -> Self {
        let counted = std::array::from_fn(|_| Mutex::default());
        Self { counted, beyond: ArcSwap::default(), uncounted: AtomicU64::new(0), clock }
    }

    /// Writes what was counted, and reads which tenants are beyond their limit. What could not be written is kept for the
    /// next time.
    pub(crate) async fn flush(&self, client: &Client) -> Result<(), DbError> {
        let counted = self.take();
        if let Err(error) = write(client, &counted).await {
            self.give_back(counted);
            return Err(error);
        }
        self.beyond.store(read_beyond(client).await?.into());
        match self.uncounted.swap(0, Ordering::Relaxed) {
            0 => {}
            calls => tracing::warn!(calls, "API calls of more tenants than fit in memory were not counted"),
        }
        Ok(())
    }

    fn take(&self) -> Vec<(TenantId, i64)> {
        self.counted.iter().flat_map(|shard| std::mem::take(&mut *locked(shard))).collect()
    }

    fn give_back(&self, counted: Vec<(TenantId, i64)>) {
        counted.into_iter().for_each(|(tenant, calls)| self.add(tenant, calls));
    }

    fn add(&self, tenant: TenantId, calls: i64) {
        let mut shard = locked(&self.counted[usize::from(tenant.0.as_bytes()[15]) % SHARDS]);
        if shard.len() >= MOST_TENANTS && !shard.contains_key(&tenant) {
            self.uncounted.fetch_add(calls.unsigned_abs(), Ordering::Relaxed);
            return;
        }
        *shard.entry(tenant).or_default() += calls;
    }
}

impl CallMeter for Calls {
    fn refusal(&self, tenant: TenantId) -> Option<UsageLimit> {
        let beyond = self.beyond.load();
        // Mostly there are none, and then nothing is hashed.
        let found = if beyond.is_empty() { None } else { beyond.get(&tenant) }?;
        let left = found.until.map(|until| until - self.clock.now());
        if left.is_some_and(|left| !left.is_positive()) {
            return None;
        }
        Some(UsageLimit {
            metric: METRIC,
            limit: found.limit,
            current: found.used,
            remaining: (found.limit - found.used).max(0),
            retry_after: left.map(|left| Duration::try_from(left).unwrap_or_default()),
        })
    }

    fn count(&self, tenant: TenantId) {
        self.add(tenant, 1);
    }
}

/// No code panics while it holds one.
fn locked(shard: &Mutex<HashMap<TenantId, i64>>) -> std::sync::MutexGuard<'_, HashMap<TenantId, i64>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn write(client: &Client, counted: &[(TenantId, i64)]) -> Result<(), DbError> {
    if counted.is_empty() {
        return Ok(());
    }
    let (tenants, calls): (Vec<Uuid>, Vec<i64>) =
        counted.iter().map(|(tenant, calls)| (tenant.0, *calls)).unzip();
    let sql = "select tenancy.count_calls($1, $2)";
    client.query_typed(sql, &[(&tenants, Type::UUID_ARRAY), (&calls, Type::INT8_ARRAY)]).await?;
    Ok(())
}

async fn read_beyond(client: &Client) -> Result<HashMap<TenantId, Beyond>, DbError> {
    let sql = "select tenant_id, hard_limit, used, ends_at from tenancy.tenants_beyond_calls($1)";
    let mut all = HashMap::new();
    for row in client.query_typed(sql, &[(&MOST_REFUSED, Type::INT4)]).await? {
        let beyond = Beyond { limit: row.try_get(1)?, used: row.try_get(2)?, until: row.try_get(3)? };
        all.insert(TenantId(row.try_get(0)?), beyond);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rowhouse_kernel::FakeClock;

    use super::*;

    fn calls() -> (Calls, Arc<FakeClock>) {
        let clock = FakeClock::at(OffsetDateTime::UNIX_EPOCH);
        (Calls::new(clock.clone()), clock)
    }

    #[test]
    fn calls_are_counted_once_and_kept_while_they_cannot_be_written() {
        let (calls, _) = calls();
        let (a, b) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        [a, b, a].into_iter().for_each(|tenant| calls.count(tenant));
        let mut taken = calls.take();
        taken.sort_by_key(|(tenant, _)| tenant.0);
        assert_eq!(taken, [(a, 2), (b, 1)]);
        calls.count(a);
        calls.give_back(taken);
        let mut taken = calls.take();
        taken.sort_by_key(|(tenant, _)| tenant.0);
        assert_eq!(taken, [(a, 3), (b, 1)]);
        assert!(calls.take().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let (calls, _) = calls();
        for tenant in 0..u128::try_from(MOST_TENANTS).unwrap() + 5 {
            calls.count(TenantId(Uuid::from_u128(tenant << 8)));
        }
        assert_eq!(calls.uncounted.load(Ordering::Relaxed), 5);
        calls.count(TenantId(Uuid::nil()));
        assert_eq!(calls.take().len(), MOST_TENANTS);
    }

    #[test]
    fn tenant_beyond_its_limit_is_refused_until_its_period_ends() {
        let (calls, clock) = calls();
        let tenant = TenantId(Uuid::from_u128(1));
        assert_eq!(calls.refusal(tenant), None);
        let until = Some(OffsetDateTime::UNIX_EPOCH + time::Duration::hours(1));
        let beyond = HashMap::from([(tenant, Beyond { limit: 5, used: 7, until })]);
        calls.beyond.store(beyond.into());
        let refusal = calls.refusal(tenant).unwrap();
        assert_eq!((refusal.limit, refusal.current, refusal.remaining), (5, 7, 0));
        assert_eq!(refusal.retry_after, Some(Duration::from_hours(1)));
        assert_eq!(calls.refusal(TenantId(Uuid::from_u128(2))), None);
        clock.advance(time::Duration::hours(1));
        assert_eq!(calls.refusal(tenant), None);
    }
}
