//! Behind a real PgBouncer: session pooling is like no pooler, transaction and statement pooling are refused by name.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rowhouse_db::migrate::apply_platform;
use rowhouse_db::{
    Control, DataPlaneUrls, Database, DatabaseUrls, DbError, DbSettings, Heard, ListenHub, Logins, Sharing,
    Transaction, bootstrap, connect, require_sessions,
};
use rowhouse_kernel::{Operation, Secret};
use rowhouse_testkit::{Cluster, TestDatabase, until};

use crate::support::{context, platform_migrations, service};

/// A pooler in front of the tests' server; ends with the test.
struct Pooler {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn write_config(folder: &Path, port: u16, mode: &str) {
    let server = Cluster::shared().folder().display();
    let logins = ["postgres", "rowhouse", "authenticator", "authenticator_service"];
    let users: String = logins.map(|login| format!("\"{login}\" \"test\"\n")).concat();
    std::fs::write(folder.join("users"), users).unwrap();
    let at = folder.display();
    let config = format!(
        "[databases]\n* = host={server} port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {at}/users\npool_mode = {mode}\n\
         default_pool_size = 40\nmax_client_conn = 200\n"
    );
    std::fs::write(folder.join("config"), config).unwrap();
}

impl Pooler {
    async fn start(mode: &str) -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        write_config(folder.path(), port, mode);
        // PgBouncer refuses root as PostgreSQL does: it runs as whoever owns the server's data.
        let owner = std::fs::metadata(cluster.folder().join("data")).unwrap();
        let (uid, gid) = (owner.uid(), owner.gid());
        for path in [folder.path().to_owned(), folder.path().join("users"), folder.path().join("config")] {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
        }
        let mut command = Command::new("pgbouncer");
        command.arg(folder.path().join("config")).current_dir("/").uid(uid).gid(gid);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.unwrap();
        let pooler = Self { process, port, _folder: folder };
        let listens = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        until("the pooler listens", Duration::from_secs(10), listens).await;
        pooler
    }

    fn url(&self, login: &str, database: &str) -> Secret {
        Secret::new(format!("postgres://{login}:test@127.0.0.1:{}/{database}", self.port))
    }

    fn urls(&self, database: &str) -> DatabaseUrls {
        let url = |login| self.url(login, database);
        let data =
            DataPlaneUrls { authenticator: url("authenticator"), service: url("authenticator_service") };
        DatabaseUrls { control: url("rowhouse"), data }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_works_from_an_empty_database_on() {
    let (pooler, base) = (Pooler::start("session").await, TestDatabase::create(platform_migrations()).await);
    base.superuser().await.batch_execute("create database behind_pooler").await.unwrap();
    let urls = pooler.urls("behind_pooler");
    let logins = Logins::new(Some(Secret::new("test")), &urls.data).unwrap();
    let admin = connect(&pooler.url("postgres", "behind_pooler")).await.unwrap();
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
    assert_eq!(heard.recv().await.unwrap(), Heard::Resync);
    connect(&urls.control).await.unwrap().batch_execute("notify pooled, 'hello'").await.unwrap();
    let said = Heard::Notice { channel: "pooled".to_owned(), payload: "hello".to_owned() };
    assert_eq!(heard.recv().await.unwrap(), said);
    listening.abort();
    monitor.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_transaction_is_cancelled_through_the_pooler() {
    let (pooler, base) = (Pooler::start("session").await, TestDatabase::create(platform_migrations()).await);
    let settings = DbSettings { control_pool_size: 2, ..DbSettings::default() };
    let control = Control::open(&pooler.urls(&base.name).control, &settings).unwrap();
    let work =
        async |tx: &Transaction<'_>| tx.batch_execute("select pg_sleep(600)").await.map_err(DbError::from);
    let long = Operation::system("test.long");
    let dropped = tokio::time::timeout(Duration::from_millis(300), control.run_tx(&long, work)).await;
    assert!(dropped.is_err(), "it had no time to end");
    let looking = base.superuser().await;
    let gone = async || {
        let sql = "select count(*) = 0 from pg_stat_activity where query like 'select pg_sleep(600)%' \
                   and state = 'active' and datname = current_database()";
        looking.query_one(sql, &[]).await.unwrap().get(0)
    };
    until("the statement is cancelled", Duration::from_secs(10), gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_and_statement_pooling_are_refused_by_name() {
    let base = TestDatabase::create(platform_migrations()).await;
    require_sessions(&base.urls).await.unwrap();
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(mode).await;
        let pooled = pooler.urls(&base.name);
        let control = DatabaseUrls { control: pooled.control.clone(), data: base.urls.data.clone() };
        let authenticator =
            DataPlaneUrls { authenticator: pooled.data.authenticator, ..base.urls.data.clone() };
        let data = DatabaseUrls { control: base.urls.control.clone(), data: authenticator };
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
