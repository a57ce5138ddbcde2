//! Arranging: a database with the platform's schema, and clients in it.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::outbound::Outbound;
use rowhouse_jobs::sql_handler::{MOST_AT_ONCE, SqlHandler};
use rowhouse_jobs::{
    Handler, HandlerFuture, Job, JobError, JobKind, JobsSettings, JsonText, Registry, Worker, WorkerParts,
    declared_kind,
};
use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};
use rowhouse_kernel::{SharedClock, SystemClock, SystemRng};
use rowhouse_testkit::{TestDatabase, until_true};
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

pub(crate) async fn database() -> TestDatabase {
    let db = TestDatabase::create().await;
    let kinds = "insert into jobs.kinds (name) values ('jobs.noop'), ('test.work')";
    db.superuser().await.batch_execute(kinds).await.unwrap();
    db
}

pub(crate) async fn count(client: &Client, table: &str) -> i64 {
    client.query_one(&format!("select count(*) from jobs.{table}"), &[]).await.unwrap().get(0)
}

/// A handler that is a function.
pub(crate) struct Does<F>(pub(crate) F);

impl<F, T> Handler for Does<F>
where
    F: Fn(Job) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Option<Value>, JobError>> + Send + 'static,
{
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        let work = (self.0)(job.clone());
        Box::pin(async { Ok(work.await?.map(JsonText::from)) })
    }
}

/// A kind that is retried at once.
pub(crate) fn kind(name: &str) -> JobKind {
    JobKind {
        backoff: Duration::from_millis(1),
        growth: 100,
        timeout: Duration::from_secs(20),
        ..JobKind::new(name)
    }
}

pub(crate) fn registry<F, T>(work: F) -> Registry
where
    F: Fn(Job) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Option<Value>, JobError>> + Send + 'static,
{
    let mut registry = Registry::new();
    registry.add(kind("test.work"), Does(work));
    registry.add(kind("jobs.noop"), Does(async |_| Ok(None)));
    registry
}

pub(crate) async fn worker(db: &TestDatabase, registry: Registry) -> Worker {
    let settings = DbSettings { control_pool_size: 6, ..DbSettings::default() };
    let parts = WorkerParts {
        control: Control::open(&db.urls.control, &settings).unwrap(),
        registry,
        concurrency: 20,
        release: "1.0.0".to_owned(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    };
    Worker::start(parts).await.unwrap()
}

/// A database, a client in it, and what a worker runs there.
pub(crate) struct Harness {
    pub(crate) db: TestDatabase,
    pub(crate) client: Client,
    pub(crate) registry: Registry,
}

impl Harness {
    /// A worker, which has to be stopped.
    pub(crate) async fn worker(&self) -> Worker {
        worker(&self.db, self.registry.clone()).await
    }

    /// Runs all jobs to their end.
    pub(crate) async fn work(&self) {
        let running = self.worker().await;
        idle(&self.client).await;
        running.stop(Duration::from_secs(5)).await;
    }

    /// Runs one job to its end; its id.
    pub(crate) async fn run(&self, kind: &str, payload: Value, tenant: Option<Uuid>) -> i64 {
        let sql = "select jobs.enqueue($1, $2, tenant => $3)";
        let id = self.client.query_one(sql, &[&kind, &payload, &tenant]).await.unwrap().get(0);
        self.work().await;
        id
    }

    /// Runs one job to its end; its result, or the error it died of.
    pub(crate) async fn call(
        &self,
        kind: &str,
        payload: Value,
        tenant: Option<Uuid>,
    ) -> Result<Value, String> {
        let id = self.run(kind, payload, tenant).await;
        let sql = "select result, error from (select $1::bigint as id) i \
                   left join jobs.results r using (id) left join jobs.dead d using (id)";
        let row = self.client.query_one(sql, &[&id]).await.unwrap();
        let result = row.get::<_, Option<Value>>(0).unwrap_or_default();
        row.get::<_, Option<String>>(1).map_or(Ok(result), Err)
    }
}

/// The settings of jobs in a file.
pub(crate) fn settings(file: &str) -> JobsSettings {
    let mut sources = Sources::new(file, []);
    (*Settings::load(&[GroupSpec::of::<JobsSettings>()], &mut sources).unwrap().get::<JobsSettings>()).clone()
}

/// The kinds that settings declare, with their handlers.
pub(crate) fn declared(db: &TestDatabase, settings: &JobsSettings, allow_private: bool) -> Registry {
    let mut registry = Registry::new();
    assert_eq!(add_declared(&mut registry, db, settings, allow_private), Vec::<String>::new());
    registry
}

/// Adds them; the mistakes in their declarations.
pub(crate) fn add_declared(
    registry: &mut Registry,
    db: &TestDatabase,
    settings: &JobsSettings,
    allow_private: bool,
) -> Vec<String> {
    let (outbound, clock) = (Outbound::new(allow_private).unwrap(), Arc::new(SystemClock) as SharedClock);
    declared_kind::add_kinds(registry, settings, &outbound, &functions(db), &clock)
}

/// What calls the project's functions.
pub(crate) fn functions(db: &TestDatabase) -> SqlHandler {
    // Only their jobs bound them, as in the program.
    let settings = DbSettings {
        control_pool_size: MOST_AT_ONCE,
        control_statement_timeout: Duration::ZERO,
        control_lock_timeout: Duration::ZERO,
        ..DbSettings::default()
    };
    let open = |url| Control::open(url, &settings).unwrap();
    SqlHandler::new(open(&db.urls.control), open(&db.urls.data.authenticator), "public, extensions")
}

/// Has `public.starts` filled with what the limit of a rate counts, by the database's clock. When a trigger or a handler runs
/// says nothing: it waits for a processor.
pub(crate) async fn note_starts(client: &Client) {
    let setup = "create table public.starts (at timestamptz not null, jobs int not null); \
        create function public.note_starts() returns trigger language plpgsql security definer as \
          $$begin insert into public.starts values (new.last_at, new.counts[cardinality(new.counts)]); return new; end$$; \
        create trigger note_starts after insert or update on jobs.recent_starts \
          for each row execute function public.note_starts()";
    client.batch_execute(setup).await.unwrap();
}

/// Waits until nothing is left to run.
pub(crate) async fn idle(client: &Client) {
    until_true(
        client,
        "not exists (select from jobs.ready) and not exists (select from jobs.leases) \
                   and not exists (select from jobs.scheduled)",
    )
    .await;
}

pub(crate) async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}
