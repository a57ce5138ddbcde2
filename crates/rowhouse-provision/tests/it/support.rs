//! Arranging: an organization with an owner, new tenants, and a worker that provisions them.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::outbound::Outbound;
use rowhouse_jobs::{Registry, Worker, WorkerParts};
use rowhouse_kernel::{SharedClock, SystemClock, SystemRng};
use rowhouse_mail::{MailSettings, Mailer};
use rowhouse_provision::{Hook, ProvisionSettings, Provisioner, RUN, UNDO};
use rowhouse_testkit::{TestDatabase, until_true};
use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

/// A project that keeps a row for each tenant, and refuses as long as a test says so.
const PROJECT: &str = "
    create table public.spaces (tenant_id uuid primary key);
    create table public.calls (at bigint generated always as identity, event jsonb not null);
    create table public.mood (refusal jsonb);
    create function public.on_tenant(event jsonb) returns jsonb language plpgsql as $$
    begin
      insert into public.calls (event) values (event);
      if exists (select from public.mood) then
        return (select refusal from public.mood);
      elsif event ->> 'type' = 'provision' then
        insert into public.spaces values ((event #>> '{tenant,id}')::uuid);
      else
        delete from public.spaces where tenant_id = (event #>> '{tenant,id}')::uuid;
      end if;
      return '{}';
    end
    $$;";

/// Names of tables with rows of a tenant, outside the logs and the run itself.
const LEFTOVERS: &str = "
    create function public.leftovers(tenant uuid) returns text language plpgsql as $$
    declare
      target record;
      is_left boolean;
      found_in text := '';
    begin
      for target in
        select c.table_schema, c.table_name, c.column_name from information_schema.columns c
        join information_schema.tables t using (table_schema, table_name)
        where t.table_type = 'BASE TABLE' and c.data_type = 'uuid' and c.column_name in ('tenant_id', 'tenant')
          and c.table_schema not in ('audit', 'events', 'pg_catalog')
          and (c.table_schema, c.table_name) not in (('provisioning', 'runs'), ('provisioning', 'steps'), ('mail', 'messages'))
        order by 1, 2
      loop
        execute format('select exists (select from %I.%I where %I = $1)', target.table_schema, target.table_name, target.column_name)
          into is_left using tenant;
        found_in := found_in || case when is_left then target.table_name || ' ' else '' end;
      end loop;
      return found_in || (select count(*) from tenancy.tenants t where t.id = tenant);
    end
    $$;";

/// Every first note that a step is done, or undone, fails as if the process had died before the commit.
pub(crate) const CRASHES: &str = "
    do $$
    declare
      step text;
      status text;
    begin
      foreach step in array array['records', 'roles', 'defaults', 'storage', 'hook', 'welcome'] loop
        foreach status in array array['done', 'undone'] loop
          execute format('create sequence public.crash_%s_%s', step, status);
        end loop;
      end loop;
    end
    $$;
    create function public.crash() returns trigger language plpgsql security definer as $$
    begin
      if nextval(format('public.crash_%s_%s', new.name, new.status)::regclass) = 1 then
        raise exception 'crashed';
      end if;
      return new;
    end
    $$;
    create trigger crash before update of status on provisioning.steps
      for each row when (old.status <> new.status and new.status in ('done', 'undone')) execute function public.crash();";

pub(crate) struct Harness {
    pub(crate) db: TestDatabase,
    pub(crate) client: Client,
    pub(crate) owner: Uuid,
    organization: Uuid,
    settings: Arc<ProvisionSettings>,
}

/// Tried again at once, with the project's function as the hook.
pub(crate) fn settings() -> ProvisionSettings {
    ProvisionSettings {
        hook: Some("pg-functions://postgres/public/on_tenant".to_owned()),
        backoff: Duration::from_millis(1),
        max_attempts: 20,
        ..ProvisionSettings::default()
    }
}

impl Harness {
    pub(crate) async fn new(settings: ProvisionSettings) -> Self {
        let db = TestDatabase::create().await;
        let client = db.superuser().await;
        db.migrate(PROJECT).await;
        client.batch_execute(LEFTOVERS).await.unwrap();
        let kinds = format!("insert into jobs.kinds (name) values ('{RUN}'), ('{UNDO}')");
        client.batch_execute(&kinds).await.unwrap();
        client.batch_execute("select auth.confine_hook('\"public\".\"on_tenant\"')").await.unwrap();
        let sql = "insert into auth.users (id, email, email_confirmed_at)
                   values (gen_random_uuid(), 'owner@example.com', now()) returning id";
        let owner: Uuid = client.query_one(sql, &[]).await.unwrap().get(0);
        let sql = "select organization_id from tenancy.organization_members where user_id = $1";
        let organization = client.query_one(sql, &[&owner]).await.unwrap().get(0);
        Self { db, client, owner, organization, settings: Arc::new(settings) }
    }

    /// A tenant as a service makes one: without members. Its provisioning is asked for in the same transaction.
    pub(crate) async fn tenant(&self, is_new: bool) -> Uuid {
        let sql = "with made as (
                     insert into tenancy.tenants (organization_id, name, slug) values ($1, 'Sales', 'sales') returning id)
                   select id from made";
        let id: Uuid = self.client.query_one(sql, &[&self.organization]).await.unwrap().get(0);
        assert!(self.provision(id, is_new).await);
        id
    }

    pub(crate) async fn provision(&self, tenant: Uuid, is_new: bool) -> bool {
        let sql = "select tenancy.provision($1, $2)";
        self.client.query_one(sql, &[&tenant, &is_new]).await.unwrap().get(0)
    }

    /// Runs all jobs to their end.
    pub(crate) async fn work(&self) {
        let db = DbSettings { control_pool_size: 6, ..DbSettings::default() };
        let control = Control::open(&self.db.urls.control, &db).unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let mailer = Mailer::new(MailSettings::default(), Arc::clone(&clock), Arc::new(SystemRng)).unwrap();
        let outbound = Outbound::new(true).unwrap();
        let hook = Hook::new(Arc::clone(&self.settings), outbound, Arc::clone(&clock));
        let provisioner = Provisioner {
            control: control.clone(),
            settings: Arc::clone(&self.settings),
            mailer,
            site_url: "https://app.example".into(),
            hook,
        };
        let mut registry = Registry::new();
        for name in [RUN, UNDO] {
            registry.add(Provisioner::kind(name, &self.settings), provisioner.clone());
        }
        let parts = WorkerParts {
            control,
            registry,
            concurrency: 4,
            release: "1.0.0".to_owned(),
            clock,
            rng: Arc::new(SystemRng),
        };
        let worker = Worker::start(parts).await.unwrap();
        let idle = "not exists (select from jobs.ready) and not exists (select from jobs.leases)
                    and not exists (select from jobs.scheduled)";
        until_true(&self.client, idle).await;
        worker.stop(Duration::from_secs(5)).await;
    }

    /// The run as it is shown.
    pub(crate) async fn shown(&self, tenant: Uuid) -> Value {
        let sql = "select coalesce(tenancy.provisioning_of($1), 'null')";
        self.client.query_one(sql, &[&tenant]).await.unwrap().get(0)
    }

    /// Its status, and those of its steps in their order.
    pub(crate) async fn state(&self, tenant: Uuid) -> (String, Vec<String>) {
        let run = self.shown(tenant).await;
        let status = |value: &Value| value["status"].as_str().unwrap().to_owned();
        (status(&run), run["steps"].as_array().unwrap().iter().map(status).collect())
    }

    /// Tables with rows of the tenant, and how many tenants there are with its id.
    pub(crate) async fn leftovers(&self, tenant: Uuid) -> String {
        self.client.query_one("select public.leftovers($1)", &[&tenant]).await.unwrap().get(0)
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// What the project's function was told, in order.
    pub(crate) async fn calls(&self) -> String {
        self.text("select coalesce(string_agg(event ->> 'type', ' ' order by at), '') from public.calls")
            .await
    }
}
