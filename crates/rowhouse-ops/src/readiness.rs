//! Readiness: the control plane can write, and both logins of the data plane can run a query. Measured on
//! request, at most once a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rowhouse_db::flight::{Access, End, Query, RequestContext};
use rowhouse_db::{Database, DbError};
use rowhouse_kernel::{Caller, Operation, SERVICE_ROLE};

/// How long the database may take; a load balancer waits for the answer.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// Results are shared for this long, however often load balancers ask.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

type Finding = Result<(), String>;

/// Measures readiness and caches the last finding.
#[derive(Clone)]
pub(crate) struct Readiness {
    database: Database,
    measuring: Arc<tokio::sync::Mutex<()>>,
    found: Arc<Mutex<Option<(Instant, Finding)>>>,
}

impl Readiness {
    pub(crate) fn new(database: Database) -> Self {
        Self { database, measuring: Arc::default(), found: Arc::default() }
    }

    /// Whether this process is ready. `with_data_plane` includes the data plane, for a process that serves the
    /// data API.
    pub(crate) async fn check(&self, with_data_plane: bool) -> Finding {
        let late = || Err(format!("database: no answer within {TIMEOUT:?}"));
        self.in_time(with_data_plane).await.unwrap_or_else(late)
    }

    /// Why nothing can be written. No answer in time is no evidence of that, since a busy database gives none either.
    pub(crate) async fn why_unwritable(&self) -> Option<String> {
        let why = self.in_time(false).await?.err()?;
        Some(why.strip_prefix("database: ").unwrap_or(&why).to_owned())
    }

    async fn in_time(&self, with_data_plane: bool) -> Option<Finding> {
        let readiness = self.clone();
        let measured = tokio::spawn(async move { readiness.current(with_data_plane).await });
        let joined = tokio::time::timeout(TIMEOUT, measured).await.ok()?;
        Some(joined.unwrap_or_else(|error| Err(error.to_string())))
    }

    /// The last finding while it is fresh, else a new one. Concurrent calls share one measurement.
    async fn current(&self, with_data_plane: bool) -> Finding {
        let _turn = self.measuring.lock().await;
        if let Some(fresh) = self.fresh() {
            return fresh;
        }
        let finding = self.measure(with_data_plane).await;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        *found = Some((Instant::now(), finding.clone()));
        finding
    }

    fn fresh(&self) -> Option<Finding> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found
            .as_ref()
            .filter(|(measured, _)| measured.elapsed() < MIN_INTERVAL)
            .map(|(_, finding)| finding.clone())
    }

    async fn measure(&self, with_data_plane: bool) -> Finding {
        if !with_data_plane {
            return self.writable().await;
        }
        let service = Caller {
            role: SERVICE_ROLE.into(),
            claims: r#"{"role":"service_role"}"#.into(),
            ..Caller::anonymous()
        };
        let anonymous = Caller::anonymous();
        let (writable, users, service) =
            tokio::join!(self.writable(), self.flight(&anonymous), self.flight(&service));
        writable.and(users).and(service)
    }

    /// A standby, a read-only server and a full disk can take no sign-ins and no jobs.
    async fn writable(&self) -> Finding {
        let operation = Operation::system("ops.readiness");
        let asked = self.database.control.statement(&operation, async |client| {
            let sql = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
                rowhouse.write_temporary_file()";
            client.query_one(sql, &[]).await.map_err(DbError::from)
        });
        let row = asked.await;
        match row {
            // All connections are busy: that is load, not a failure.
            Err(DbError::PoolTimeout(_)) => Ok(()),
            Err(error) => Err(format!("database: {error}")),
            Ok(row) if row.get(0) => Err("database: a standby in recovery, which is read-only".to_owned()),
            Ok(row) if row.get(1) => Err("database: read-only".to_owned()),
            Ok(_) => Ok(()),
        }
    }

    async fn flight(&self, caller: &Caller) -> Finding {
        let context = RequestContext {
            caller,
            address: None,
            method: "GET",
            path: "/health/ready",
            headers: "{}",
            cookies: "{}",
            access: Access::ReadOnly,
            search_path: "pg_catalog",
            time_zone: None,
            before: None,
            isolation: None,
            end: End::Commit,
        };
        let query = Query { sql: Arc::from("select 1"), params: Vec::new() };
        match self.database.data.fly(&context, &query).await {
            Ok(_) | Err(DbError::PoolTimeout(_) | DbError::ShareTimeout(_)) => Ok(()),
            Err(error) => Err(format!("data plane, role {}: {error}", caller.role)),
        }
    }
}

#[cfg(test)]
mod tests;
