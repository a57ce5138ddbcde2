//! A database on which no worker has started yet: the project's migrations can enqueue.

use rowhouse::modules::modules;
use rowhouse_kernel::settings::{Settings, Sources};
use rowhouse_module::Roles;
use rowhouse_testkit::{TestDatabase, until_true};
use tokio_postgres::Client;

use crate::support::{TestApp, settings};

const FILE: &str = r#"
[jobs.kinds."shop.tally"]
handler = "sql"
function = "public.tally"
max_attempts = 7
[jobs.queues.reports]
concurrency = 2
"#;

fn declared() -> Settings {
    Settings::load(&modules().settings(), &mut Sources::new(FILE, [])).unwrap()
}

/// What `up`, `migrate up` and `serve` do before the project's migrations.
async fn announce(client: &Client, settings: &Settings) {
    modules().after_platform_migrations(client, settings).await.unwrap_or_else(|error| panic!("{error:?}"));
}

async fn rows(client: &Client, sql: &str) -> Vec<String> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn migration_enqueues_on_a_database_without_a_worker() {
    let db = TestDatabase::create().await;
    let client = rowhouse_db::connect(&db.urls.direct).await.unwrap();
    announce(&client, &declared()).await;
    db.migrate(
        "select jobs.enqueue('shop.tally', queue => 'reports'), jobs.enqueue('jobs.sql'); \
         select mail.send('{\"to\": \"ada@example.com\", \"subject\": \"s\", \"text\": \"t\"}')",
    )
    .await;
    let kind = "select concat_ws(' ', handler, max_attempts) from jobs.kinds where name = 'shop.tally'";
    assert_eq!(rows(&client, kind).await, ["sql 7"]);
    let queue = "select concat_ws(' ', concurrency, declared) from jobs.queues where name = 'reports'";
    assert_eq!(rows(&client, queue).await, ["2 t"]);
}

#[tokio::test]
async fn announcing_leaves_what_running_processes_have_declared() {
    let db = TestDatabase::create().await;
    let client = rowhouse_db::connect(&db.urls.direct).await.unwrap();
    let known = "insert into jobs.kinds (name, handler, max_attempts) values ('shop.tally', 'http', 3); \
                 insert into jobs.queues (name, concurrency, declared) values ('reports', 9, true), ('old', 1, true)";
    client.batch_execute(known).await.unwrap();
    let all = "select concat_ws(' ', name, concurrency, declared) from jobs.queues union all \
               select concat_ws(' ', name, handler, max_attempts) from jobs.kinds where name = 'shop.tally' order by 1";
    let before = rows(&client, all).await;
    announce(&client, &declared()).await;
    assert_eq!(rows(&client, all).await, before);
}

#[tokio::test]
async fn every_kind_that_a_worker_runs_is_announced_with_the_same_rules() {
    let db = TestDatabase::create().await;
    let client = rowhouse_db::connect(&db.urls.direct).await.unwrap();
    let settings = settings();
    announce(&client, &settings).await;
    let all =
        "select concat_ws(' ', name, handler, min_release, max_attempts, timeout) from jobs.kinds order by 1";
    let announced = rows(&client, all).await;
    assert!(announced.iter().any(|kind| kind.starts_with("mail.send rowhouse 0 1000")), "{announced:?}");
    let _app = TestApp::start_as(db, settings, Roles::ALL).await;
    until_true(&client, "exists (select from jobs.workers)").await;
    assert_eq!(rows(&client, all).await, announced);
}
