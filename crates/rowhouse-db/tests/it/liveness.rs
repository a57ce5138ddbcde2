//! What counts as the server being unavailable.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_db::flight::{Access, Query, RequestContext};
use rowhouse_db::{DataPlaneUrls, Database, DatabaseUrls, DbError, DbSettings, Health};
use rowhouse_kernel::{Caller, Secret};
use rowhouse_testkit::{LIMIT, until, until_some};

use crate::support::{Harness, context, one_connection};

#[tokio::test]
async fn loss_of_the_monitor_s_connections_is_not_an_outage() {
    let harness = Harness::new(DbSettings::default()).await;
    let superuser = harness.db.superuser().await;
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where datname = current_database() and application_name = 'rowhouse-monitor'
        and state = 'idle' and state_change < clock_timestamp() - interval '300 ms'";
    let mut ended = 0;
    // Between two questions only: each time the monitor finds its connection gone and asks over a new one.
    let asked_anew = async || {
        ended += superuser.query_one(end, &[]).await.unwrap().get::<_, i64>(0);
        assert_eq!(harness.database.liveness.health(), Health::Up);
        ended > 4
    };
    until("five connections of the monitor have been ended", LIMIT, asked_anew).await;
}

/// A backend that is stopped answers nothing, and its connection does not look closed.
#[tokio::test]
async fn silence_of_one_backend_is_not_an_outage() {
    let harness = Harness::new(DbSettings::default()).await;
    let superuser = harness.db.superuser().await;
    let idle = "select pid from pg_stat_activity where datname = current_database() \
        and application_name = 'rowhouse-monitor' and state = 'idle' and query = 'select 1' and pid <> $1 limit 1";
    let asked = async |except: i32| -> Option<i32> {
        superuser.query_opt(idle, &[&except]).await.unwrap().map(|row| row.get(0))
    };
    let stopped = until_some("the monitor has asked", LIMIT, async || asked(0).await).await;
    kill(Pid::from_raw(stopped), Signal::SIGSTOP).unwrap();
    let asked_again = async || {
        assert_eq!(harness.database.liveness.health(), Health::Up);
        asked(stopped).await.is_some()
    };
    until("the monitor has asked over another connection", LIMIT, asked_again).await;
    assert_eq!(harness.database.liveness.health(), Health::Up);
    kill(Pid::from_raw(stopped), Signal::SIGCONT).unwrap();
}

/// After a fail-over the old primary is a standby, or is made read-only by hand.
#[tokio::test]
async fn writes_to_a_read_only_database_are_unavailable_and_reads_continue() {
    let harness = Harness::new(one_connection()).await;
    harness.db.migrate("create table public.t (a int); grant all on public.t to anon").await;
    let anon = Caller::anonymous();
    harness.fly(&anon, "insert into public.t values (1)", &[]).await.unwrap();
    let superuser = harness.db.superuser().await;
    let name: String = superuser.query_one("select current_database()", &[]).await.unwrap().get(0);
    let make = format!("alter database \"{name}\" set default_transaction_read_only = on");
    superuser.batch_execute(&make).await.unwrap();
    let end =
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'rowhouse-data'
        and datname = current_database()";
    superuser.batch_execute(end).await.unwrap();
    for _ in 0..3 {
        let refused = harness.fly(&anon, "insert into public.t values (2)", &[]).await;
        assert!(matches!(refused, Err(DbError::Unavailable(_))), "{refused:?}");
        let reading = RequestContext { access: Access::ReadOnly, ..context(&anon) };
        let count = Query { sql: "select count(*)::text from public.t".into(), params: Vec::new() };
        let rows = harness.database.data.fly(&reading, &count).await.unwrap();
        assert_eq!(rows, [[Some("1".into())]]);
        // A request that may not write and does is the caller's mistake, here as anywhere.
        let insert = Query { sql: "insert into public.t values (3)".into(), params: Vec::new() };
        let refused = harness.database.data.fly(&reading, &insert).await.unwrap_err();
        assert_eq!(refused.code(), Some("25006"));
    }
}

/// A dead host behind a load balancer: accepts connections and sends nothing.
#[tokio::test]
async fn silent_server_is_reported_within_the_deadline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok(connection) = listener.accept().await {
            taken.push(connection);
        }
    });
    let url = |user: &str| Secret::new(format!("postgres://{user}:x@{address}/app?sslmode=disable"));
    let data = DataPlaneUrls { authenticator: url("authenticator"), service: url("authenticator_service") };
    let urls = DatabaseUrls { control: url("rowhouse"), direct: url("rowhouse"), data };
    let (database, monitor) = Database::open_monitored(&urls, &one_connection(), true).unwrap();
    let anon = Caller::anonymous();
    let asked = context(&anon);
    let query = Query { sql: "select 1".into(), params: Vec::new() };
    let flight = tokio::time::timeout(Duration::from_secs(4), database.data.fly(&asked, &query));
    let control = tokio::time::timeout(Duration::from_secs(4), database.control.connection());
    let (flight, control) = tokio::join!(flight, control);
    assert!(matches!(flight, Ok(Err(DbError::Unavailable(_)))), "{flight:?}");
    assert!(matches!(control, Ok(Err(DbError::Unavailable(_)))));
    silent.abort();
    monitor.abort();
}
