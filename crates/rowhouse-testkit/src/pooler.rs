//! PgBouncer in front of the tests' server.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::{Cluster, until};

/// The logins that it lets in; all have the password of the test cluster.
const LOGINS: [&str; 4] = ["postgres", "rowhouse", "authenticator", "authenticator_service"];

/// A running pooler; ends with the value.
#[derive(Debug)]
pub struct Pooler {
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

impl Pooler {
    /// Starts one with this `pool_mode` in front of the shared cluster.
    ///
    /// # Panics
    /// If it does not start: PgBouncer has to be installed.
    pub async fn start(mode: &str) -> Self {
        Self::start_with(mode, 40).await
    }

    /// Starts one with this many connections for each login and database.
    ///
    /// # Panics
    /// As [`Pooler::start`].
    pub async fn start_with(mode: &str, connections: u32) -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("the cluster");
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a free port").port();
        write_config(folder.path(), port, mode, connections);
        // PgBouncer refuses root as PostgreSQL does: it runs as whoever owns the server's data.
        let owner = std::fs::metadata(cluster.folder().join("data")).expect("the server's data");
        let (uid, gid) = (owner.uid(), owner.gid());
        for path in [folder.path().to_owned(), folder.path().join("users"), folder.path().join("config")] {
            std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("chown");
        }
        let mut command = Command::new("pgbouncer");
        command.arg(folder.path().join("config")).current_dir("/").uid(uid).gid(gid);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let pooler = Self { process: process.expect("PgBouncer is installed"), port, _folder: folder };
        let listens = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        until("the pooler listens", Duration::from_secs(10), listens).await;
        pooler
    }

    /// URL of a login in a database, through the pooler.
    #[must_use]
    pub fn url(&self, login: &str, database: &str) -> String {
        format!("postgres://{login}:test@127.0.0.1:{}/{database}", self.port)
    }

    /// The `application_name` of each client that the pooler has now.
    ///
    /// # Panics
    /// If its console does not answer.
    pub async fn clients(&self) -> Vec<String> {
        let (client, connection) =
            tokio_postgres::connect(&self.url("postgres", "pgbouncer"), NoTls).await.expect("the console");
        tokio::spawn(connection);
        let rows = client.simple_query("show clients").await.expect("show clients");
        let names = rows.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get("application_name").map(str::to_owned),
            _ => None,
        });
        names.filter(|name| !name.is_empty()).collect()
    }
}

fn write_config(folder: &Path, port: u16, mode: &str, connections: u32) {
    let server = Cluster::shared().folder().display();
    let users: String = LOGINS.map(|login| format!("\"{login}\" \"test\"\n")).concat();
    std::fs::write(folder.join("users"), users).expect("the users");
    let at = folder.display();
    let config = format!(
        "[databases]\n* = host={server} port=5432\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {at}/users\nadmin_users = postgres\n\
         pool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 200\n"
    );
    std::fs::write(folder.join("config"), config).expect("the configuration");
}
