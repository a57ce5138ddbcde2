//! Arranging: a database with a schema, its snapshot, and routers over it that differ in settings.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use rowhouse_db::{Database, DbSettings};
use rowhouse_http::Identity;
use rowhouse_kernel::Caller;
use rowhouse_rest::{LimitSources, Rest, RestSettings, SchemaCache, router};
use rowhouse_testkit::TestDatabase;
use serde_json::json;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// A database, the snapshot of its schema, and a data plane.
pub(crate) struct Harness {
    pub(crate) db: TestDatabase,
    pub(crate) cache: Arc<SchemaCache>,
    database: Database,
    monitor: JoinHandle<()>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.monitor.abort();
    }
}

impl Harness {
    /// A database of its own with `sql` run by its superuser, and `schemas` known.
    pub(crate) async fn new(sql: &str, schemas: &[&str]) -> Self {
        Self::with_connections(sql, schemas, 1).await
    }

    /// The same with schema and number of connections as wanted.
    pub(crate) async fn with_connections(sql: &str, schemas: &[&str], connections: u32) -> Self {
        let db = TestDatabase::create().await;
        let admin = db.superuser().await;
        admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}"));
        let harness = Self::connected(db, SchemaCache::new(), connections);
        harness.reload(schemas).await;
        harness
    }

    /// Connections of its own to a database that others use too.
    pub(crate) fn on(db: TestDatabase, cache: Arc<SchemaCache>) -> Self {
        Self::connected(db, cache, 1)
    }

    fn connected(db: TestDatabase, cache: Arc<SchemaCache>, connections: u32) -> Self {
        let settings = DbSettings {
            data_pool_size: connections,
            service_pool_size: 1,
            acquire_timeout: Duration::from_millis(300),
            ..DbSettings::default()
        };
        let (database, monitor) = Database::open_monitored(&db.urls, &settings, true).unwrap();
        Self { db, cache, database, monitor }
    }

    pub(crate) async fn reload(&self, schemas: &[&str]) {
        let schemas: Vec<String> = schemas.iter().map(|name| (*name).to_owned()).collect();
        self.cache.reload(&self.db.superuser().await, &schemas).await.unwrap();
    }

    /// The schema read again, and connections made to prepare anew, as the server does after `NOTIFY pgrst`.
    pub(crate) async fn schema_changed(&self, schemas: &[&str]) {
        let schemas: Vec<String> = schemas.iter().map(|name| (*name).to_owned()).collect();
        let snapshot = rowhouse_db::catalog::load(&self.db.superuser().await, &schemas).await.unwrap();
        self.database.data.schema_changed();
        self.cache.replace(snapshot);
    }

    pub(crate) fn router(&self, settings: RestSettings) -> Router {
        router(Rest::new(self.database.data.clone(), Arc::clone(&self.cache), limits(), settings))
    }

    /// A router that has not seen the schema yet.
    pub(crate) fn blind_router(&self, settings: RestSettings) -> Router {
        router(Rest::new(self.database.data.clone(), SchemaCache::new(), limits(), settings))
    }
}

/// Those of roles only: callers here have no tenant.
fn limits() -> LimitSources {
    LimitSources {
        default_timeout: DbSettings::default().statement_timeout,
        tenants: Arc::default(),
        plans_for_all: true,
    }
}

/// A caller of a role, whose claims say nothing else.
pub(crate) fn caller(role: &str) -> Caller {
    Caller { role: role.into(), claims: json!({ "role": role }).to_string().into(), ..Caller::anonymous() }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct RouterResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Sends a request as `identity`, without one if there is none.
pub(crate) async fn send(
    router: &Router,
    identity: Option<Identity>,
    mut request: Request<Body>,
) -> RouterResponse {
    if let Some(identity) = identity {
        request.extensions_mut().insert(identity);
    }
    let response: Response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    RouterResponse { status: head.status, headers: head.headers, body }
}
