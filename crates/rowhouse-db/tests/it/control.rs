//! Named transactions: their settings, and what dropped ones leave.

use std::time::Duration;

use rowhouse_db::{Batched, Control, DbError, DbSettings, OwnSession, Transaction};
use rowhouse_kernel::{Actor, Operation, SystemClock, TenantId, UserId};
use rowhouse_testkit::{LIMIT, TestDatabase, until, until_some, until_true};
use uuid::Uuid;

const SETTINGS: &str = "select array(select current_setting('rowhouse.' || name, true) \
    from unnest(array['operation', 'actor', 'request_id', 'tenant', 'address']) name)";

/// As few connections as a pool has: one until two are needed at once, so that the next transaction meets what the one before
/// has left.
async fn control() -> (TestDatabase, Control) {
    let db = TestDatabase::create().await;
    // Only a cancellation ends a long statement in time.
    let control_statement_timeout = Duration::from_secs(600);
    let settings = DbSettings { control_pool_size: 1, control_statement_timeout, ..DbSettings::default() };
    let control = Control::open(&db.urls.control, &settings).unwrap();
    (db, control)
}

fn operation() -> Operation {
    let clock: rowhouse_kernel::SharedClock = std::sync::Arc::new(SystemClock);
    let tenant = Some(TenantId(Uuid::from_u128(2)));
    let mut operation =
        Operation::background("test.settings", &clock).for_request(Some("r'1")).in_tenant(tenant);
    operation.origin.actor = Actor::User(UserId(Uuid::from_u128(1)));
    operation.origin.address = Some("2001:db8::1".parse().unwrap());
    operation
}

#[tokio::test]
async fn transaction_has_its_operation_in_settings_that_end_with_it() {
    let (_db, control) = control().await;
    let read = async |tx: &Transaction<'_>| {
        assert_eq!(tx.operation().name, "test.settings");
        Ok::<Vec<String>, DbError>(tx.query_one(SETTINGS, &[]).await?.get(0))
    };
    let inside = control.run_tx(&operation(), read).await.unwrap();
    let (user, tenant) = (Uuid::from_u128(1).to_string(), Uuid::from_u128(2).to_string());
    assert_eq!(inside, ["test.settings", &user, "r'1", &tenant, "2001:db8::1"]);
    let read = async |client: &tokio_postgres::Client| {
        Ok::<Vec<Option<String>>, DbError>(client.query_one(SETTINGS, &[]).await?.get(0))
    };
    let after = control.statement(&Operation::system("test.after"), read).await.unwrap();
    assert!(after.iter().all(|value| value.as_deref().unwrap_or_default().is_empty()), "{after:?}");
}

#[tokio::test]
async fn batch_is_one_transaction_with_the_operations_settings() {
    let (db, control) = control().await;
    let client = db.superuser().await;
    client.batch_execute("create table public.noted (id int primary key, operation text); grant all on public.noted to rowhouse").await.unwrap();
    let note = |sql| Batched { sql, parameters: &[] };
    let one =
        note("insert into public.noted select 1, current_setting('rowhouse.operation') returning operation");
    let twice = note("insert into public.noted values (1)");
    let leaves = note("select set_config('search_path', 'public', false)");
    let refused = control.run_batch(&operation(), &[one, twice, one]).await.unwrap_err();
    assert_eq!(refused.code(), Some("23505"), "the first statement that failed");
    let rows = control.run_batch(&operation(), &[one, leaves]).await.unwrap();
    assert_eq!((rows.len(), rows[0][0].get::<_, &str>(0)), (2, "test.settings"));
    let path = async |client: &tokio_postgres::Client| {
        Ok::<String, DbError>(client.query_one("show search_path", &[]).await?.get(0))
    };
    let path = control.statement(&Operation::system("test.after"), path).await.unwrap();
    assert!(!path.contains("public"), "the session is reset: {path}");
    let count = client.query_one("select count(*) from public.noted", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 1, "the refused batch has left nothing");
}

#[tokio::test]
async fn own_statement_is_prepared_once_and_a_failed_one_spoils_nothing() {
    let (_db, control) = control().await;
    let operation = Operation::system("test.own");
    let prepared = async |session: &OwnSession<'_>| {
        let sql = "select count(*) from pg_prepared_statements where statement like '%of this test%' -- of this test";
        let row = session.query_prepared_opt(sql, &[]).await?;
        Ok::<Option<i64>, DbError>(row.map(|row| row.get(0)))
    };
    let fail =
        async |session: &OwnSession<'_>| session.batch_execute("select 1 / 0").await.map_err(DbError::from);
    for _ in 0..3 {
        assert_eq!(control.own_statement(&operation, prepared).await.unwrap(), Some(1));
    }
    assert_eq!(control.own_statement(&operation, fail).await.unwrap_err().code(), Some("22012"));
    assert_eq!(control.own_statement(&operation, prepared).await.unwrap(), Some(1));
}

#[tokio::test]
async fn prepared_statement_whose_result_a_migration_changes_fails_once() {
    let (db, control) = control().await;
    let (client, operation) = (db.superuser().await, Operation::system("test.own"));
    client
        .batch_execute("create table public.noted (id int); grant all on public.noted to rowhouse")
        .await
        .unwrap();
    let read = async |session: &OwnSession<'_>| {
        session.query_prepared_opt("select id from public.noted", &[]).await.map_err(DbError::from)
    };
    assert!(control.own_statement(&operation, read).await.unwrap().is_none());
    client.batch_execute("alter table public.noted alter id type bigint").await.unwrap();
    assert_eq!(control.own_statement(&operation, read).await.unwrap_err().code(), Some("0A000"));
    assert!(control.own_statement(&operation, read).await.unwrap().is_none());
}

#[tokio::test]
async fn dropped_transaction_is_cancelled_and_its_connection_serves_the_next() {
    let (db, control) = control().await;
    let (long, watcher) = (Operation::system("test.long"), db.superuser().await);
    let work = async |tx: &Transaction<'_>| {
        tx.batch_execute("create temp table half (id int) on commit preserve rows").await?;
        tx.batch_execute("select pg_sleep(600)").await.map_err(DbError::from)
    };
    let sleeps =
        "exists (select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep')";
    tokio::select! {
        _ = control.run_tx(&long, work) => panic!("it had no time to end"),
        () = until_true(&watcher, sleeps) => {}
    }
    until_true(&watcher, &format!("not {sleeps}")).await;
    let opened = "select pid from pg_stat_activity where datname = current_database() and application_name = 'rowhouse-control'";
    let dropped: i32 = watcher.query_one(opened, &[]).await.unwrap().get(0);
    let next = async |client: &tokio_postgres::Client| {
        let sql = "select pg_backend_pid(), to_regclass('pg_temp.half') is null";
        let row = client.query_one(sql, &[]).await?;
        Ok::<(i32, bool), DbError>((row.get(0), row.get(1)))
    };
    let served = until_some("its connection serves the next", LIMIT, async || {
        let (pid, is_clean) = control.statement(&Operation::system("test.next"), next).await.unwrap();
        (pid == dropped).then_some(is_clean)
    });
    assert!(served.await, "it was rolled back");
}

#[tokio::test]
async fn session_has_limits_for_statements_locks_and_idle_transactions() {
    let db = TestDatabase::create().await;
    let settings = DbSettings {
        control_pool_size: 2,
        control_statement_timeout: Duration::from_millis(1_500),
        control_lock_timeout: Duration::from_millis(100),
        control_idle_in_transaction_timeout: Duration::from_secs(1),
        ..DbSettings::default()
    };
    let control = Control::open(&db.urls.control, &settings).unwrap();
    let operation = Operation::system("test.limits");
    let code = async |sql: &'static str| {
        let work = async move |tx: &Transaction<'_>| tx.batch_execute(sql).await.map_err(DbError::from);
        control.run_tx(&operation, work).await.unwrap_err().code().map(str::to_owned)
    };
    assert_eq!(code("select pg_sleep(600)").await.as_deref(), Some("57014"));
    let holder = db.superuser().await;
    holder.batch_execute("begin; select pg_advisory_xact_lock(7)").await.unwrap();
    assert_eq!(code("select pg_advisory_xact_lock(7)").await.as_deref(), Some("55P03"));
    // The server ends the session, and the next statement fails.
    let idle = async |tx: &Transaction<'_>| {
        let gone = async || tx.is_closed();
        until("the session is ended", Duration::from_secs(10), gone).await;
        tx.batch_execute("select 1").await.map_err(DbError::from)
    };
    let error = control.run_tx(&operation, idle).await.unwrap_err();
    assert!(matches!(error, DbError::Unavailable(_)), "{error:?}");
    let next = async |tx: &Transaction<'_>| tx.batch_execute("select 1").await.map_err(DbError::from);
    control.run_tx(&operation, next).await.unwrap();
}
