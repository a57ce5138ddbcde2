//! Connections of a whole process, by pool, stay within the bounds of docs/database.md under load and when idle.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use rowhouse_db::DbSettings;
use rowhouse_db::migrate::{Migration, apply_project, watched};
use rowhouse_module::Roles;
use rowhouse_testkit::{TestDatabase, until};
use serde_json::json;

use crate::support::{PROJECT, TestApp, settings};

const CALLERS: usize = 40;
const REQUESTS: usize = 10;

type Counts = BTreeMap<String, i64>;

async fn connections(client: &tokio_postgres::Client) -> Counts {
    let sql = "select application_name || case \
                 when application_name = 'rowhouse-functions' then ' of ' || usename \
                 when usename = 'authenticator_service' then '-service' else '' end, count(*) \
               from pg_stat_activity \
               where datname = current_database() and application_name <> '' \
               group by 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// As docs/database.md has them.
fn bounds(db: &DbSettings) -> Counts {
    let bounds = [
        ("rowhouse-control", db.control_pool_size),
        ("rowhouse-lookup", db.lookup_pool_size),
        ("rowhouse-monitor", 2),
        ("rowhouse-listen", 1),
        ("rowhouse-data", db.data_pool_size),
        ("rowhouse-data-service", db.service_pool_size),
        ("rowhouse-jobs", 6),
        ("rowhouse-functions of rowhouse", 8),
        ("rowhouse-functions of authenticator", 8),
        ("rowhouse-delivery", 4),
        ("rowhouse-command", 2),
    ];
    bounds.map(|(name, bound)| (name.to_owned(), i64::from(bound))).into()
}

async fn call_api(app: &TestApp) {
    let caller = async |number: usize| {
        for request in 0..REQUESTS {
            let read = app.request(Method::GET, "/rest/v1/countries").header("apikey", &app.service_key);
            app.send(read.bearer_auth(&app.service_key)).await;
            let anonymous = app.request(Method::GET, "/rest/v1/countries").header("apikey", &app.anon_key);
            app.send(anonymous.bearer_auth(&app.anon_key)).await;
            app.get(&app.anon_key, "/health/ready").await;
            let person =
                json!({ "email": format!("p{number}-{request}@x.example"), "password": "a long password" });
            if request == 0 {
                let sign_up = app.request(Method::POST, "/auth/v1/signup").header("apikey", &app.anon_key);
                app.send(sign_up.json(&person)).await;
            }
        }
    };
    futures_util::future::join_all((0..CALLERS).map(caller)).await;
}

/// Functions of the project and of a tenant, more than run at once, and mails.
async fn work(app: &TestApp, client: &tokio_postgres::Client) {
    app.db
        .migrate(
            "create function public.doze() returns void language sql as 'select pg_sleep(0.05)'; \
             grant execute on function public.doze() to authenticated; \
             select jobs.allow_function('public.doze')",
        )
        .await;
    let made = "insert into tenancy.organizations (name, slug) values ('o', 'o'); \
        insert into tenancy.tenants (organization_id, name, slug) select id, 't', 't' from tenancy.organizations where slug = 'o'";
    client.batch_execute(made).await.unwrap();
    let jobs = "select jobs.enqueue('jobs.sql', '{\"function\": \"public.doze\"}'), \
          jobs.enqueue('jobs.sql', '{\"function\": \"public.doze\"}', tenant => t.id), \
          mail.send(jsonb_build_object('to', 'p' || n || '@x.example', 'subject', 's', 'text', 't')) \
        from generate_series(1, 60) n, tenancy.tenants t where t.slug = 't'";
    client.batch_execute(jobs).await.unwrap();
    let done = async || {
        let sql = "select not exists (select from jobs.ready) and not exists (select from jobs.leases)";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    until("all jobs are done", Duration::from_secs(60), done).await;
}

/// What `migrate up` opens: one that works and one that watches it.
async fn migrate(app: &TestApp) {
    let url = &app.db.urls.control;
    let (session, watcher) =
        (rowhouse_db::connect(url).await.unwrap(), rowhouse_db::connect(url).await.unwrap());
    let texts = [Migration::new("20990101000000_a.sql", "select pg_sleep(0.5)")];
    let stop = std::future::pending::<()>();
    watched(&session, &watcher, stop, apply_project(&session, &texts)).await.unwrap();
}

/// The most connections of each pool while `load` runs.
async fn most_during(client: &tokio_postgres::Client, load: impl Future<Output = ()>) -> Counts {
    let mut most = Counts::new();
    let watching = async {
        loop {
            for (name, count) in connections(client).await {
                let seen = most.entry(name).or_default();
                *seen = count.max(*seen);
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = load => {}
    }
    most
}

async fn within_bounds(roles: Roles, used: &[&str]) {
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    let settings = settings();
    let bounds = bounds(&settings.get::<DbSettings>());
    let app = TestApp::start_as(db, settings, roles).await;
    let (client, worker) = (app.db.superuser().await, app.db.superuser().await);
    let load = async {
        let working = async {
            if roles.worker {
                work(&app, &worker).await;
            }
        };
        let calling = async {
            if roles.api {
                call_api(&app).await;
            }
        };
        tokio::join!(working, calling, migrate(&app));
    };
    let most = most_during(&client, load).await;
    let within = |counts: &Counts| {
        let bound = |name: &String| bounds.get(name).copied().unwrap_or_default();
        counts.iter().all(|(name, count)| *count <= bound(name))
    };
    assert!(within(&most), "{most:?} exceed {bounds:?}");
    assert!(used.iter().all(|name| most.contains_key(*name)), "{most:?}");
    let at_rest = async || within(&connections(&client).await);
    until("connections are within their bounds at rest", Duration::from_secs(10), at_rest).await;
}

const OF_ALL: [&str; 4] = ["rowhouse-control", "rowhouse-monitor", "rowhouse-listen", "rowhouse-command"];
const OF_API: [&str; 2] = ["rowhouse-data", "rowhouse-data-service"];
/// Without deliveries, whose pool only a relay needs.
const OF_WORKERS: [&str; 3] =
    ["rowhouse-jobs", "rowhouse-functions of rowhouse", "rowhouse-functions of authenticator"];

#[tokio::test(flavor = "multi_thread")]
async fn every_pool_of_a_process_that_does_everything_stays_within_its_bound() {
    within_bounds(Roles::ALL, &[&OF_ALL[..], &OF_API, &OF_WORKERS].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pool_of_a_process_that_answers_or_works_only_stays_within_its_bound() {
    within_bounds(Roles { api: true, worker: false }, &[&OF_ALL[..], &OF_API].concat()).await;
    within_bounds(Roles { api: false, worker: true }, &[&OF_ALL[..], &OF_WORKERS].concat()).await;
}
