//! `target_session_attrs`: which server is used at sign-in, and that a demoted one is left.

use rowhouse_db::flight::{Access, Query, RequestContext};
use rowhouse_db::{Control, DataPlaneUrls, Database, DatabaseUrls, DbError, DbSettings, Health, connect};
use rowhouse_kernel::{Caller, Operation, Secret};
use rowhouse_testkit::{Cluster, LIMIT, TestDatabase, until};

use crate::support::context;

const SERVER: &str = "select current_setting('cluster_name')";

/// One login's URL to both servers, the first one first.
fn url(clusters: &[Cluster; 2], user: &str) -> Secret {
    let [first, second] = clusters.each_ref().map(|cluster| cluster.url(user, "postgres"));
    let (_, second) = second.split_once('@').unwrap();
    let (server, database) = second.split_once('/').unwrap();
    let first = first.strip_suffix(&format!("/{database}")).unwrap();
    Secret::new(format!("{first},{server}/{database}?target_session_attrs=read-write"))
}

async fn by_control(control: &Control) -> Result<String, DbError> {
    let ask = async |tx: &rowhouse_db::Transaction<'_>| Ok(tx.query_one(SERVER, &[]).await?.get(0));
    control.run_tx(&Operation::system("test.failover"), ask).await
}

async fn by_flight(database: &Database, caller: &Caller) -> Result<String, DbError> {
    let reading = RequestContext { access: Access::ReadOnly, ..context(caller) };
    let rows = database.data.fly(&reading, &Query { sql: SERVER.into(), params: Vec::new() }).await?;
    Ok(String::from_utf8(rows[0][0].clone().unwrap().to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_leave_a_server_that_takes_no_writes_any_more() {
    let start = |name: &'static str| {
        tokio::task::spawn_blocking(move || Cluster::start_with(|_| format!("-c cluster_name={name}")))
    };
    let clusters = [start("first").await.unwrap(), start("second").await.unwrap()];
    let old = TestDatabase::on_own_cluster(&clusters[0]).await;
    TestDatabase::on_own_cluster(&clusters[1]).await;
    let data = DataPlaneUrls {
        authenticator: url(&clusters, "authenticator"),
        service: url(&clusters, "authenticator_service"),
    };
    let control = url(&clusters, "rowhouse");
    let urls = DatabaseUrls { direct: control.clone(), control, data };
    let (database, monitor) = Database::open_monitored(&urls, &DbSettings::default(), true).unwrap();
    let anonymous = Caller::anonymous();
    assert_eq!(by_control(&database.control).await.unwrap(), "first");
    assert_eq!(by_flight(&database, &anonymous).await.unwrap(), "first");

    let superuser = old.superuser().await;
    superuser.batch_execute("alter system set default_transaction_read_only = on").await.unwrap();
    superuser.batch_execute("select pg_reload_conf()").await.unwrap();
    until("the control plane uses the other server", LIMIT, async || {
        by_control(&database.control).await.is_ok_and(|server| server == "second")
    })
    .await;
    until("flights use the other server", LIMIT, async || {
        by_flight(&database, &anonymous).await.is_ok_and(|server| server == "second")
    })
    .await;
    let nobody = "select count(*) from pg_stat_activity where application_name in ('rowhouse-control', 'rowhouse-data', 'rowhouse-monitor')";
    until("nobody uses the old server", LIMIT, async || {
        superuser.query_one(nobody, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
    until("the monitor finds the other server", LIMIT, async || database.liveness.health() == Health::Up)
        .await;
    monitor.abort();
}

#[tokio::test]
async fn only_servers_that_the_url_asks_for_are_used() {
    let db = TestDatabase::create().await;
    for (attrs, is_there) in [
        ("any", true),
        ("primary", true),
        ("read-write", true),
        ("prefer-standby", true),
        ("standby", false),
        ("read-only", false),
    ] {
        let ask = |url: &Secret| Secret::new(format!("{}?target_session_attrs={attrs}", url.expose()));
        let data = DataPlaneUrls {
            authenticator: ask(&db.urls.data.authenticator),
            service: ask(&db.urls.data.service),
        };
        let urls = DatabaseUrls { control: ask(&db.urls.control), direct: ask(&db.urls.direct), data };
        let database = Database::open(&urls, &DbSettings::default(), true).unwrap();
        for found in [
            connect(&urls.direct).await.map(drop),
            by_control(&database.control).await.map(drop),
            by_flight(&database, &Caller::anonymous()).await.map(drop),
        ] {
            let refusal = format!("no server is as target_session_attrs={attrs} asks");
            match found {
                Ok(()) => assert!(is_there, "{attrs}"),
                Err(error) => assert!(!is_there && error.to_string().contains(&refusal), "{attrs}: {error}"),
            }
        }
    }
}
