//! A PostgreSQL for the measurement alone, created and started as `up` does it, with the platform's schema.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use rowhouse_db::embedded::{Embedded, find_binaries};
use rowhouse_db::migrate::{apply_platform, read_project};
use rowhouse_db::{DataPlaneUrls, Logins, Sharing, bootstrap};
use rowhouse_kernel::Secret;
use tokio_postgres::{Client, NoTls};

/// The crates whose migrations the jobs' tables need.
const CRATES: [&str; 5] =
    ["rowhouse-db", "rowhouse-audit", "rowhouse-auth", "rowhouse-tenancy", "rowhouse-jobs"];

/// A running server.
pub(crate) struct Database {
    server: Embedded,
    /// The password of the server's logins; only this run uses the server's socket.
    password: Secret,
    _folder: tempfile::TempDir,
}

impl Database {
    pub(crate) async fn start(root: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rowhouse-bench-").tempdir()?;
        // The server's account has to enter.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::create_dir(folder.path().join(".rowhouse"))?;
        let password = Secret::new("bench".to_owned());
        let port = super::super::server::free_port()?;
        let server = Embedded::start(folder.path(), port, &password, |_| {}).await?;
        let database = Self { server, password, _folder: folder };
        database.migrate(root).await?;
        Ok(database)
    }

    async fn migrate(&self, root: &Path) -> Result<()> {
        let url = |login| self.server.endpoint.socket_url(login, &self.password);
        let data =
            DataPlaneUrls { authenticator: url("authenticator"), service: url("authenticator_service") };
        let logins = Logins::new(Some(self.password.clone()), &data)?;
        let admin = self.client().await?;
        bootstrap(&admin, &logins, Sharing::Accept).await?;
        let mut migrations = Vec::new();
        for name in CRATES {
            migrations.extend(read_project(&root.join("crates").join(name).join("migrations"))?);
        }
        migrations.sort_by(|a, b| a.name.cmp(&b.name));
        let owner = connect(&self.worker_url()).await?;
        apply_platform(&owner, &migrations).await?;
        admin.batch_execute("insert into jobs.kinds (name) values ('jobs.noop')").await?;
        Ok(())
    }

    /// What a worker connects to.
    pub(crate) fn worker_url(&self) -> Secret {
        self.server.endpoint.socket_url("rowhouse", &self.password)
    }

    /// A superuser's connection, for setup and checks.
    pub(crate) async fn client(&self) -> Result<Client> {
        connect(&self.server.endpoint.socket_url("postgres", &self.password)).await
    }

    /// The variables that libpq and node-postgres read.
    pub(crate) fn variables(&self, database: &str) -> [(&'static str, String); 5] {
        [
            ("PGHOST", self.server.endpoint.socket_dir.display().to_string()),
            ("PGPORT", self.server.endpoint.port.to_string()),
            ("PGUSER", "postgres".to_owned()),
            ("PGPASSWORD", self.password.expose().to_owned()),
            ("PGDATABASE", database.to_owned()),
        ]
    }

    /// Transactions of this one statement a second, by pgbench with so many clients.
    pub(crate) fn pgbench(&self, sql: &str, clients: u32, seconds: u32) -> Result<f64> {
        let binaries = find_binaries().map_err(|error| anyhow::anyhow!("{error}"))?;
        let script = tempfile::NamedTempFile::new()?;
        std::fs::write(script.path(), sql)?;
        let output = std::process::Command::new(binaries.program("pgbench"))
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
            .args([format!("--client={clients}"), format!("--time={seconds}")])
            .arg("--file")
            .arg(script.path())
            .envs(self.variables("postgres"))
            .output()
            .context("pgbench")?;
        let text = String::from_utf8_lossy(&output.stdout);
        anyhow::ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
        let rate = super::super::word_after(&text, "tps = ").context("pgbench's tps")?;
        Ok(rate.parse()?)
    }

    pub(crate) async fn stop(self) {
        let home = self.server.paths.home.clone();
        self.server.stop().await;
        // The data is elsewhere if the server's account could not enter the folder.
        let _gone_with_the_folder = std::fs::remove_dir_all(home);
    }
}

async fn connect(url: &Secret) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url.expose(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
