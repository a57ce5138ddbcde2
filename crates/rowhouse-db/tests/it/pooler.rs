//! Behind a real PgBouncer: session pooling is like no pooler, transaction and statement pooling are refused by name.

use std::time::Duration;

use rowhouse_db::migrate::apply_platform;
use rowhouse_db::{
    Control, DataPlaneUrls, Database, DatabaseUrls, DbError, DbSettings, Heard, ListenHub, Logins, Sharing,
    Transaction, bootstrap, connect, require_sessions,
};
use rowhouse_kernel::{Operation, Secret};
use rowhouse_testkit::{Pooler, TestDatabase, in_time, platform_migrations, until_true};

use crate::support::{context, service};

fn urls(pooler: &Pooler, database: &str) -> DatabaseUrls {
    let url = |login| Secret::new(pooler.url(login, database));
    let data = DataPlaneUrls { authenticator: url("authenticator"), service: url("authenticator_service") };
    DatabaseUrls { control: url("rowhouse"), direct: url("rowhouse"), data }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_works_from_an_empty_database_on() {
    let (pooler, base) = (Pooler::start("session").await, TestDatabase::create().await);
    base.superuser().await.batch_execute("create database behind_pooler").await.unwrap();
    let urls = urls(&pooler, "behind_pooler");
    let logins = Logins::new(Some(Secret::new("test")), &urls.data).unwrap();
    let admin = connect(&Secret::new(pooler.url("postgres", "behind_pooler"))).await.unwrap();
    bootstrap(&admin, &logins, Sharing::Accept).await.unwrap();
    apply_platform(&connect(&urls.control).await.unwrap(), &platform_migrations()).await.unwrap();
    require_sessions(&urls).await.unwrap();

    let (database, monitor) = Database::open_monitored(&urls, &DbSettings::default(), false).unwrap();
    let ask = async |tx: &Transaction<'_>| {
        let sql =
            "select current_setting('rowhouse.operation') || ' ' || current_setting('statement_timeout')";
        Ok::<String, DbError>(tx.query_one(sql, &[]).await?.get(0))
    };
    let control = database.control.run_tx(&Operation::system("test.pooled"), ask).await.unwrap();
    assert_eq!(control, "test.pooled 30s");
    for _ in 0..3 {
        let query = rowhouse_db::flight::Query {
            sql: std::sync::Arc::from(
                "select current_setting('role') || ' ' || current_setting('statement_timeout')",
            ),
            params: Vec::new(),
        };
        let rows = database.data.fly(&context(&service()), &query).await.unwrap();
        assert_eq!(rows[0][0].as_deref(), Some(b"service_role 8s".as_slice()));
    }
    let hub = ListenHub::default();
    let mut heard = hub.subscribe();
    let listening = tokio::spawn(hub.run(urls.control.clone(), vec!["pooled"], || ()));
    assert_eq!(in_time("the first look", heard.recv()).await.unwrap(), Heard::Resync);
    connect(&urls.control).await.unwrap().batch_execute("notify pooled, 'hello'").await.unwrap();
    let said = Heard::Notice { channel: "pooled".to_owned(), payload: "hello".to_owned() };
    assert_eq!(in_time("the notice", heard.recv()).await.unwrap(), said);
    listening.abort();
    monitor.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_transaction_is_cancelled_through_the_pooler() {
    let (pooler, base) = (Pooler::start("session").await, TestDatabase::create().await);
    // Only a cancellation ends the statement in time.
    let control_statement_timeout = Duration::from_secs(600);
    let settings = DbSettings { control_pool_size: 2, control_statement_timeout, ..DbSettings::default() };
    let control = Control::open(&urls(&pooler, &base.name).control, &settings).unwrap();
    let work =
        async |tx: &Transaction<'_>| tx.batch_execute("select pg_sleep(600)").await.map_err(DbError::from);
    let long = Operation::system("test.long");
    let watcher = base.superuser().await;
    let sleeps = "exists (select from pg_stat_activity where query like 'select pg_sleep(600)%' \
                  and state = 'active' and datname = current_database())";
    tokio::select! {
        _ = control.run_tx(&long, work) => panic!("it had no time to end"),
        () = until_true(&watcher, sleeps) => {}
    }
    until_true(&watcher, &format!("not {sleeps}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_and_statement_pooling_are_refused_by_name() {
    let base = TestDatabase::create().await;
    require_sessions(&base.urls).await.unwrap();
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(mode).await;
        let pooled = urls(&pooler, &base.name);
        let control = DatabaseUrls { control: pooled.control.clone(), ..base.urls.clone() };
        let authenticator =
            DataPlaneUrls { authenticator: pooled.data.authenticator, ..base.urls.data.clone() };
        let data = DatabaseUrls { data: authenticator, ..base.urls.clone() };
        for (urls, setting) in [(control, "db.url"), (data, "db.authenticator_url")] {
            let refused = require_sessions(&urls).await.unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("{setting} leads to a connection pooler")),
                "{mode}: {refused}"
            );
            assert!(refused.contains("db.direct_url"), "{refused}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pooler_that_has_no_session_to_give_is_an_error_in_time() {
    let (pooler, base) = (Pooler::start_with("session", 1).await, TestDatabase::create().await);
    let url = Secret::new(pooler.url("rowhouse", &base.name));
    let taken = connect(&url).await.unwrap();
    let control = Control::open(&url, &DbSettings::default()).unwrap();
    let refused = in_time("an answer", control.connection()).await;
    assert!(matches!(refused, Err(DbError::Unavailable(_))), "{refused:?}");
    drop(taken);
}
