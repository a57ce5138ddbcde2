//! GoTrue on the same PostgreSQL, in a database of its own, with a pool of as many connections.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::CONNECTIONS;
use crate::bench::server::{Server, free_port};

/// How long its start may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running GoTrue; ends with the value.
pub(super) struct GoTrue {
    process: Child,
    url: String,
}

impl Drop for GoTrue {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl GoTrue {
    /// Migrates and serves; `folder` has its program `auth` and its `migrations`.
    pub(super) async fn start(server: &Server, folder: &Path) -> Result<Self> {
        let folder = folder.canonicalize().context("the folder of GoTrue")?;
        for sql in ["create database gotrue", "alter database gotrue set search_path = auth, public"] {
            server.run_as_superuser(sql)?;
        }
        let db = database_url(server)?;
        let schema = Command::new("psql").args([db.as_str(), "-qc", "create schema auth"]).status()?;
        anyhow::ensure!(schema.success(), "the schema of GoTrue could not be created");
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let command = |verb: &str| {
            let mut command = Command::new(folder.join("auth"));
            command.arg(verb).current_dir(&folder).envs(variables(&db, &url, port));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        anyhow::ensure!(command("migrate").status()?.success(), "GoTrue could not migrate");
        let gotrue = Self { process: command("serve").spawn()?, url };
        gotrue.ready().await?;
        Ok(gotrue)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    async fn ready(&self) -> Result<()> {
        let (client, started) = (reqwest::Client::new(), Instant::now());
        while started.elapsed() < TIMEOUT {
            let health = client.get(format!("{}/health", self.url)).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("GoTrue was not ready within {TIMEOUT:?}")
    }
}

/// The superuser's URL with the database of GoTrue.
fn database_url(server: &Server) -> Result<String> {
    let url = server.state["db_url"].as_str().context("db_url")?;
    let (login, rest) = url.rsplit_once("/postgres").context("a database in db_url")?;
    Ok(format!("{login}/gotrue{rest}"))
}

fn variables(db: &str, url: &str, port: u16) -> Vec<(&'static str, String)> {
    let text = |name, value: &str| (name, value.to_owned());
    vec![
        text("DATABASE_URL", db),
        text("GOTRUE_DB_DRIVER", "postgres"),
        text("DB_NAMESPACE", "auth"),
        ("GOTRUE_DB_MAX_POOL_SIZE", CONNECTIONS.to_string()),
        text("GOTRUE_API_HOST", "127.0.0.1"),
        ("PORT", port.to_string()),
        text("API_EXTERNAL_URL", url),
        text("GOTRUE_SITE_URL", url),
        text("GOTRUE_JWT_SECRET", "a secret of at least thirty-two characters"),
        text("GOTRUE_JWT_EXP", "3600"),
        text("GOTRUE_JWT_AUD", "authenticated"),
        text("GOTRUE_JWT_DEFAULT_GROUP_NAME", "authenticated"),
        text("GOTRUE_JWT_ADMIN_ROLES", "service_role"),
        text("GOTRUE_DISABLE_SIGNUP", "false"),
        text("GOTRUE_EXTERNAL_EMAIL_ENABLED", "true"),
        text("GOTRUE_MAILER_AUTOCONFIRM", "true"),
        text("GOTRUE_LOG_LEVEL", "fatal"),
    ]
}
