//! Arranging: a tenant with an owner, and what checks its domains.

use std::sync::Arc;

use rowhouse_db::{Control, DbSettings};
use rowhouse_domain::{Checker, DomainSettings, Rechecked, Rechecks};
use rowhouse_kernel::{SharedClock, SystemClock, SystemRng};
use rowhouse_mail::{MailSettings, Mailer};
use rowhouse_testkit::{NameServer, TestDatabase};
use tokio_postgres::Client;
use uuid::Uuid;

/// What claims of tests publish.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A database with a tenant, and the checks.
pub(crate) struct Harness {
    pub(crate) db: TestDatabase,
    pub(crate) client: Client,
    pub(crate) names: NameServer,
    pub(crate) tenant: Uuid,
    control: Control,
    settings: DomainSettings,
}

impl Harness {
    pub(crate) async fn new() -> Self {
        let db = TestDatabase::create().await;
        let client = db.superuser().await;
        let tenant = tenant(&client, "owner@example.com").await;
        let names = NameServer::start();
        let settings =
            DomainSettings { name_server: Some(names.address.to_string()), ..DomainSettings::default() };
        let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
        Self { db, client, names, tenant, control, settings }
    }

    /// A verified claim of the tenant, which is due.
    pub(crate) async fn claim(&self, name: &str, proof: &str) -> Uuid {
        let sql = "insert into domains.claims (id, organization_id, tenant_id, name, proof, challenge, status, verified_at, confirmed_at)
                   select gen_random_uuid(), t.organization_id, t.id, $2, $3, $4, 'verified', now(), now()
                   from tenancy.tenants t where t.id = $1 returning id";
        self.client.query_one(sql, &[&self.tenant, &name, &proof, &TOKEN]).await.unwrap().get(0)
    }

    /// Runs the checks as the schedule does when every claim is due, with files at this port.
    pub(crate) async fn run_at(&self, port: u16, allow_private: bool) -> Rechecked {
        let sql =
            "update domains.claims set next_check_at = now() - interval '1 second' where status = 'verified'";
        self.client.batch_execute(sql).await.unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let checker = Checker::new(&self.settings, "app.example", allow_private, Arc::clone(&clock));
        // Nobody listens at port 1.
        let checker = checker.unwrap().at_ports(port, 1);
        let mailer = Mailer::new(MailSettings::default(), Arc::clone(&clock), Arc::new(SystemRng)).unwrap();
        let parts = (clock, Arc::new(SystemRng) as _);
        let rechecks = Rechecks::new(self.control.clone(), self.settings.clone(), checker, mailer, parts);
        rechecks.run_due().await.unwrap()
    }

    pub(crate) async fn run(&self) -> Rechecked {
        self.run_at(1, true).await
    }

    /// A claim's status and what its last check has found instead of the proof.
    pub(crate) async fn state(&self, claim: Uuid) -> (String, Option<String>) {
        let sql = "select status, last_error from domains.claims where id = $1";
        let row = self.client.query_one(sql, &[&claim]).await.unwrap();
        (row.get(0), row.get(1))
    }

    pub(crate) async fn owner_of(&self, host: &str) -> Option<Uuid> {
        rowhouse_domain::owner_of(&self.client, host).await.unwrap().map(|tenant| tenant.0)
    }

    /// Subjects of the letters to an address, the oldest first.
    pub(crate) async fn letters(&self, to: &str) -> Vec<String> {
        let sql = "select m.subject from mail.messages m join mail.recipients r on r.message = m.id
                   where r.address = $1 order by m.id";
        let rows = self.client.query(sql, &[&to]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Events about domains, the oldest first.
    pub(crate) async fn events(&self) -> Vec<String> {
        let sql = "select kind from events.outbox where kind like 'domains.%' order by id";
        let rows = self.client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// The tenant of a user who has just signed up with a confirmed address.
pub(crate) async fn tenant(client: &Client, email: &str) -> Uuid {
    let sql = "insert into auth.users (id, email, email_confirmed_at) values (gen_random_uuid(), $1::text, now()) returning id";
    let user: Uuid = client.query_one(sql, &[&email]).await.unwrap().get(0);
    let sql = "select tenant_id from tenancy.memberships where user_id = $1";
    client.query_one(sql, &[&user]).await.unwrap().get(0)
}
