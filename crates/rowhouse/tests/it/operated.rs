//! Operators' tools: finding and closing accounts, acting as users, bulk jobs.

mod acting;
mod bulk;
mod changed;
mod confined;
mod crowd;
mod doctor;
mod user;

use reqwest::{Method, StatusCode};
use rowhouse_kernel::settings::Settings;
use rowhouse_module::Roles;
use rowhouse_operator::{Assurance, OperatorSettings};
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::support::{PROJECT, SignedIn, TestApp, TestResponse, settings};

/// An installation with one operator of each role and a customer.
struct Harness {
    app: TestApp,
    client: tokio_postgres::Client,
    chief: SignedIn,
    support: SignedIn,
    customer: SignedIn,
}

fn with_passwords_alone() -> Settings {
    let mut settings = settings();
    settings.update(|operators: &mut OperatorSettings| {
        operators.impersonation_aal = Assurance::Aal1;
        operators.bulk_aal = Assurance::Aal1;
    });
    settings
}

impl Harness {
    async fn new() -> Self {
        Self::with(with_passwords_alone()).await
    }

    async fn with(settings: Settings) -> Self {
        Self::as_roles(settings, Roles::ALL).await
    }

    async fn as_roles(settings: Settings, roles: Roles) -> Self {
        let db = TestDatabase::create().await;
        db.migrate(PROJECT).await;
        let app = TestApp::start_as(db, settings, roles).await;
        let client = app.db.superuser().await;
        let chief = app.sign_up("chief@example.com").await;
        let support = app.sign_up("support@example.com").await;
        let customer = app.sign_up("ada@example.com").await;
        for (user, role) in [(&chief, "super_admin"), (&support, "support")] {
            let sql =
                "insert into tenancy.operators (user_id, role, reason) values ($1::text::uuid, $2, 'test')";
            client.execute(sql, &[&user.id, &role]).await.unwrap();
        }
        Self { app, client, chief, support, customer }
    }

    async fn sql(&self, sql: &str) {
        self.client.batch_execute(&sql.replace("$CUSTOMER", &self.customer.id)).await.unwrap();
    }

    async fn value(&self, sql: &str) -> Value {
        let sql = format!("select to_jsonb(x) from ({}) x (x)", sql.replace("$CUSTOMER", &self.customer.id));
        let row = self.client.query_opt(&sql, &[]).await.unwrap();
        row.map_or(Value::Null, |row| row.get(0))
    }

    /// As somebody, below /admin/v1.
    async fn post(&self, who: &SignedIn, path: &str, body: Value) -> TestResponse {
        self.app.post(&who.token, &format!("/admin/v1{path}"), body).await
    }

    async fn get(&self, who: &SignedIn, path: &str) -> TestResponse {
        self.app.get(&who.token, &format!("/admin/v1{path}")).await
    }

    async fn sign_in(&self, email: &str) -> TestResponse {
        let body = json!({ "email": email, "password": "correct horse" });
        self.app.post(&self.app.anon_key, "/auth/v1/token?grant_type=password", body).await
    }

    async fn refresh(&self, token: &str) -> TestResponse {
        let body = json!({ "refresh_token": token });
        self.app.post(&self.app.anon_key, "/auth/v1/token?grant_type=refresh_token", body).await
    }

    /// The statuses of a request on each surface.
    async fn everywhere(&self, token: &str) -> Vec<u16> {
        let mut statuses = Vec::new();
        for path in ["/auth/v1/user", "/rest/v1/todos?select=title", "/admin/v1/me"] {
            statuses.push(self.app.call(token, Method::GET, path, None).await.status.as_u16());
        }
        statuses
    }

    /// Organization, actor, impersonator and details of the entries of an action, the oldest first.
    async fn entries(&self, action: &str) -> Vec<Value> {
        let sql = "select jsonb_build_object('organization', e.organization_id, 'tenant', e.tenant_id, 'actor', e.actor,
                     'impersonator', e.impersonator, 'target', e.target_id, 'details', e.details)
                   from audit.entries e where e.action = $1 order by e.occurred_at, e.organization_id";
        let rows = self.client.query(sql, &[&action]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn organization_of(&self, user: &SignedIn) -> String {
        let sql = "select organization_id::text from tenancy.organization_members where user_id::text = $1";
        self.client.query_one(sql, &[&user.id]).await.unwrap().get(0)
    }
}

fn refused(answer: &TestResponse) -> (StatusCode, String) {
    (answer.status, answer.code())
}
