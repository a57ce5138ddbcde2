//! The program on a project of its own, with its PostgreSQL.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

const READY_LIMIT: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);
const PORTS: std::ops::Range<u16> = 21_000..31_000;
const SETTINGS: &str = "[backup]\nmin_free_bytes = 0\ndrill_schedule = \"\"\n";

/// A folder that the database's account can pass.
pub(super) fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("rh-").tempdir_in("/tmp")?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// A project; its `up` is stopped when it is dropped.
pub(super) struct Project {
    binary: PathBuf,
    pub(super) folder: TempDir,
    up: Option<Child>,
}

impl Project {
    /// An empty one, running.
    pub(super) async fn start(binary: &Path) -> Result<Self> {
        let folder = folder()?;
        std::fs::write(folder.path().join("rowhouse.toml"), SETTINGS)?;
        let mut project = Self { binary: binary.to_owned(), folder, up: None };
        project.up().await?;
        Ok(project)
    }

    /// One in a folder that a restore has written.
    pub(super) async fn of(binary: &Path, folder: TempDir) -> Result<Self> {
        let mut project = Self { binary: binary.to_owned(), folder, up: None };
        project.up().await?;
        Ok(project)
    }

    /// Starts `up` and waits until it is ready.
    pub(super) async fn up(&mut self) -> Result<()> {
        let log = std::fs::File::create(self.folder.path().join("up.log"))?;
        let mut command = self.command(&["up", "--port", &free_port()?.to_string()]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn()?;
        let (pid, begun) = (child.id(), Instant::now());
        self.up = Some(child);
        loop {
            if self.state().is_ok_and(|state| state["pid"] == pid) {
                return Ok(());
            }
            let ended = self.up.as_mut().and_then(|up| up.try_wait().ok().flatten());
            if ended.is_some() || begun.elapsed() > READY_LIMIT {
                let log = std::fs::read_to_string(self.folder.path().join("up.log")).unwrap_or_default();
                bail!("up is not ready ({ended:?}): {log}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Stops it.
    pub(super) fn stop(&mut self) {
        if let Some(mut up) = self.up.take() {
            if let Ok(pid) = i32::try_from(up.id()) {
                let _gone_already = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            let _ended = up.wait();
        }
    }

    pub(super) fn state(&self) -> Result<Value> {
        let text = std::fs::read_to_string(self.folder.path().join(".rowhouse/state.json"))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// A superuser's connection.
    pub(super) async fn connect(&self) -> Result<Client> {
        let state = self.state()?;
        let (client, connection) =
            tokio_postgres::connect(state["db_url"].as_str().context("db_url")?, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A command of the program on this project, not started yet.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--dir").arg(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, args: &[&str]) -> Result<Output> {
        self.command(args).output().with_context(|| args.join(" "))
    }

    /// Runs one that prints a document and has to end with exit code 0.
    pub(super) fn ask(&self, args: &[&str]) -> Result<Value> {
        let output = self.run(args)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{}: {said}{}",
            args.join(" "),
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Restores into a new folder.
    pub(super) fn restore(&self, target: &[&str]) -> Result<TempDir> {
        let into = folder()?;
        let path = into.path().display().to_string();
        self.ask(&[&["backup", "restore", "--json", "--into", &path], target].concat())?;
        Ok(into)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.stop();
    }
}

/// With those beside it, below the ephemeral range.
fn free_port() -> Result<u16> {
    let first = PORTS.start + u16::try_from(std::process::id() % 900)? * 10;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut candidates = (first..PORTS.end).step_by(10);
    candidates.find(|port| [0, 1, 3, 4].iter().all(|offset| is_free(port + offset))).context("no free ports")
}
