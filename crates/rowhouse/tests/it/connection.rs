//! Connections of a whole process, by pool, stay within the bounds of docs/database.md under load and when idle.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use rowhouse_db::DbSettings;
use rowhouse_module::Roles;
use rowhouse_testkit::{TestDatabase, until};
use serde_json::json;

use crate::support::{PROJECT, TestApp, settings};

const CALLERS: usize = 40;
const REQUESTS: usize = 10;

type Counts = BTreeMap<String, i64>;

async fn connections(client: &tokio_postgres::Client) -> Counts {
    let sql = "select application_name || case usename when 'authenticator_service' then '-service' else '' end, \
               count(*) from pg_stat_activity \
               where datname = current_database() and application_name <> '' group by 1";
    client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// As docs/database.md has them.
fn bounds(db: &DbSettings) -> Counts {
    let bounds = [
        ("rowhouse-control", db.control_pool_size),
        ("rowhouse-monitor", 2),
        ("rowhouse-listen", 1),
        ("rowhouse-data", db.data_pool_size),
        ("rowhouse-data-service", db.service_pool_size),
        ("rowhouse-jobs", 6),
        ("rowhouse-functions", 16),
        ("rowhouse-delivery", 4),
    ];
    bounds.map(|(name, bound)| (name.to_owned(), i64::from(bound))).into()
}

async fn load(app: &TestApp) {
    let caller = async |number: usize| {
        for request in 0..REQUESTS {
            let read = app.request(Method::GET, "/rest/v1/countries").header("apikey", &app.service_key);
            app.send(read.bearer_auth(&app.service_key)).await;
            let anonymous = app.request(Method::GET, "/rest/v1/countries").header("apikey", &app.anon_key);
            app.send(anonymous.bearer_auth(&app.anon_key)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn every_pool_stays_within_its_bound_under_load_and_when_idle() {
    let db = TestDatabase::create(rowhouse::platform::migrations()).await;
    db.migrate(PROJECT).await;
    let settings = settings();
    let bounds = bounds(&settings.get::<DbSettings>());
    let app = TestApp::start_as(db, settings, Roles::ALL).await;
    let client = app.db.superuser().await;
    let mut most = Counts::new();
    let watching = async {
        loop {
            for (name, count) in connections(&client).await {
                let seen = most.entry(name).or_default();
                *seen = count.max(*seen);
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = load(&app) => {}
    }
    let within = |counts: &Counts| {
        let bound = |name: &String| bounds.get(name).copied().unwrap_or_default();
        counts.iter().all(|(name, count)| *count <= bound(name))
    };
    assert!(within(&most), "{most:?} exceed {bounds:?}");
    let used = ["rowhouse-control", "rowhouse-data", "rowhouse-data-service"];
    assert!(used.iter().all(|name| most.contains_key(*name)), "{most:?}");
    let at_rest = async || within(&connections(&client).await);
    until("connections are within their bounds at rest", Duration::from_secs(10), at_rest).await;
}
