//! Arranging: a database with the platform's schema, and clients in it.

use rowhouse_db::migrate::Migration;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::sql_handler::{MOST_AT_ONCE, SqlHandler};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JsonText, Kind, Registry, Worker, WorkerParts};
use rowhouse_kernel::{SystemClock, SystemRng};
use rowhouse_testkit::TestDatabase;
use serde_json::Value;
use tokio_postgres::Client;

/// The platform's migrations, read from the crates' folders: this crate may not depend on those above it.
pub(crate) fn platform_migrations() -> Vec<Migration> {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all: Vec<Migration> = Vec::new();
    for room in ["rowhouse-db", "rowhouse-audit", "rowhouse-auth", "rowhouse-tenancy", "rowhouse-jobs"] {
        all.extend(rowhouse_db::migrate::read_project(&crates.join(room).join("migrations")).unwrap());
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

pub(crate) async fn database() -> TestDatabase {
    let db = TestDatabase::create(platform_migrations()).await;
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
pub(crate) fn kind(name: &str) -> Kind {
    Kind {
        backoff: Duration::from_millis(1),
        growth: 100,
        timeout: Duration::from_secs(20),
        ..Kind::new(name)
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
    worker_with(db, registry, &[]).await
}

/// One that keeps slots for some kinds.
pub(crate) async fn worker_with(
    db: &TestDatabase,
    registry: Registry,
    reserved_kinds: &'static [&'static str],
) -> Worker {
    let settings = DbSettings { control_pool_size: 6, ..DbSettings::default() };
    let parts = WorkerParts {
        control: Control::open(&db.urls.control, &settings).unwrap(),
        registry,
        concurrency: 20,
        reserved_kinds,
        release: "1.0.0".to_owned(),
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    };
    Worker::start(parts).await.unwrap()
}

/// What calls the project's functions.
pub(crate) fn functions(db: &TestDatabase) -> SqlHandler {
    let settings = DbSettings { control_pool_size: MOST_AT_ONCE, ..DbSettings::default() };
    let open = |url| Control::open(url, &settings).unwrap();
    SqlHandler::new(open(&db.urls.control), open(&db.urls.data.authenticator), "public, extensions")
}

/// Waits until a query says true.
pub(crate) async fn until(client: &Client, sql: &str) {
    let wait = format!(
        "do $$ begin for i in 1..3000 loop if ({sql}) then return; end if; perform pg_sleep(0.01); end loop; \
         raise 'not so in 30 s: {}'; end $$",
        sql.replace('\'', "''")
    );
    client.batch_execute(&wait).await.unwrap();
}

/// Waits until nothing is left to run.
pub(crate) async fn idle(client: &Client) {
    until(
        client,
        "not exists (select from jobs.ready) and not exists (select from jobs.leases) \
                   and not exists (select from jobs.scheduled)",
    )
    .await;
}

pub(crate) async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}
