//! Arranging: a database with tenants, callers in them, and the data plane.

mod busy;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rowhouse_db::flight::{Access, Query, RequestContext, Row};
use rowhouse_db::{Database, DbError, DbSettings};
use rowhouse_kernel::{AUTHENTICATED, Caller, SERVICE_ROLE, SessionId, TenantId, UserId};
use rowhouse_testkit::TestDatabase;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(crate) use busy::{Busy, abandon, seen, waiting};

pub(crate) struct Harness {
    pub(crate) db: TestDatabase,
    pub(crate) database: Database,
    /// How many the callers' pool has.
    pub(crate) connections: u32,
    _monitor: JoinHandle<()>,
}

pub(crate) fn one_connection() -> DbSettings {
    DbSettings {
        data_pool_size: 1,
        service_pool_size: 1,
        data_pool_share: 100,
        acquire_timeout: Duration::from_secs(10),
        ..DbSettings::default()
    }
}

impl Harness {
    pub(crate) async fn new(settings: DbSettings) -> Self {
        let db = TestDatabase::create().await;
        let (database, monitor) = Database::open_monitored(&db.urls, &settings, true).unwrap();
        Self { db, database, connections: settings.data_pool_size, _monitor: monitor }
    }

    /// A user with a tenant of his own and a live session in it.
    pub(crate) async fn sign_up(&self, email: &str) -> Caller {
        let client = self.db.superuser().await;
        let user = Uuid::from_u128(rand_id());
        client.execute("insert into auth.users (id, email) values ($1, $2)", &[&user, &email]).await.unwrap();
        let tenant: Uuid =
            client.query_one("select tenancy.default_tenant($1)", &[&user]).await.unwrap().get(0);
        let session = Uuid::from_u128(rand_id());
        let sql = "insert into auth.sessions (id, user_id, tenant_id) values ($1, $2, $3)";
        client.execute(sql, &[&session, &user, &tenant]).await.unwrap();
        let claims = serde_json::json!({ "sub": user, "role": "authenticated", "tenant_id": tenant, "session_id": session });
        Caller {
            role: AUTHENTICATED.into(),
            claims: claims.to_string().into(),
            user: Some(UserId(user)),
            session: Some(SessionId(session)),
            tenant: Some(TenantId(tenant)),
            ..Caller::anonymous()
        }
    }

    pub(crate) async fn fly(&self, caller: &Caller, sql: &str, params: &[&str]) -> Result<Vec<Row>, DbError> {
        let params = params.iter().map(|p| Some(Bytes::copy_from_slice(p.as_bytes()))).collect();
        let query = Query { sql: Arc::from(sql), params };
        self.database.data.fly(&context(caller), &query).await
    }

    /// The first column of the first row.
    pub(crate) async fn text(&self, caller: &Caller, sql: &str) -> Result<String, DbError> {
        let rows = self.fly(caller, sql, &[]).await?;
        let value = rows.first().and_then(|row| row.first()?.clone()).unwrap_or_default();
        Ok(String::from_utf8(value.to_vec()).unwrap())
    }
}

pub(crate) fn context(caller: &Caller) -> RequestContext<'_> {
    RequestContext {
        caller,
        address: None,
        method: "GET",
        path: "/x",
        headers: "{}",
        cookies: "{}",
        access: Access::ReadWrite,
        search_path: "public, extensions",
        time_zone: None,
        before: None,
        isolation: None,
        end: rowhouse_db::flight::End::Commit,
    }
}

pub(crate) fn service() -> Caller {
    Caller { role: SERVICE_ROLE.into(), claims: r#"{"role":"service_role"}"#.into(), ..Caller::anonymous() }
}

fn rand_id() -> u128 {
    use rowhouse_kernel::Rng;
    let mut bytes = [0_u8; 16];
    rowhouse_kernel::SystemRng.fill(&mut bytes);
    u128::from_le_bytes(bytes)
}
