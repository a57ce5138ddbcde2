//! Runs the real binary under `up` on a project of its own: start, kill, checks from outside, stop.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::crash::Victim;

/// Programs that this process has started.
static STARTED: AtomicU16 = AtomicU16::new(0);

const LOOK: Duration = Duration::from_millis(10);

/// Kills all its processes when dropped.
pub(crate) struct Program {
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    variables: Vec<(&'static str, String)>,
    child: Child,
    http: reqwest::Client,
}

/// The processes of one run, to distinguish it from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    rowhouse: i64,
    postmaster: i64,
}

/// How clients reach it; the same across restarts.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) anon_key: String,
    pub(crate) service_key: String,
}

impl Program {
    /// On a copy of `project`, with settings changed by variables.
    pub(crate) fn start(
        binary: &Path,
        project: &Path,
        variables: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rh-").tempdir_in("/tmp")?;
        // As root, the database runs under another account, which has to be able to enter.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        copy(project, folder.path())?;
        let port = free_ports()?;
        let child = spawn(binary, folder.path(), port, &variables)?;
        Ok(Self {
            binary: binary.to_owned(),
            folder,
            port,
            variables,
            child,
            http: reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?,
        })
    }

    /// The next `up` after a kill.
    pub(crate) fn up(&mut self) -> Result<()> {
        self.child = spawn(&self.binary, self.folder.path(), self.port, &self.variables)?;
        Ok(())
    }

    /// `.rowhouse/state.json`.
    pub(crate) fn state(&self) -> Result<Value> {
        let text = std::fs::read_to_string(self.folder.path().join(".rowhouse/state.json"))?;
        Ok(serde_json::from_str(&text)?)
    }

    pub(crate) fn access(&self) -> Result<Access> {
        let state = self.state()?;
        let text = |name: &str| {
            state[name].as_str().map(str::to_owned).with_context(|| format!("{name} in state.json"))
        };
        Ok(Access { url: text("url")?, anon_key: text("anon_key")?, service_key: text("service_role_key")? })
    }

    fn run(&self) -> Result<Run> {
        let state = self.state()?;
        let pid = |name: &str| state[name].as_i64().with_context(|| format!("{name} in state.json"));
        Ok(Run { rowhouse: pid("pid")?, postmaster: pid("pg_pid")? })
    }

    /// kill -9; returns who was running.
    pub(crate) fn kill(&mut self, victim: Victim) -> Result<Run> {
        let run = self.run()?;
        let postmaster = i32::try_from(run.postmaster)?;
        // Must not hit another process.
        ensure!(
            works_in(postmaster, &self.data()),
            "state.json names {postmaster} as postmaster, which it is not"
        );
        if victim != Victim::Postgres {
            self.kill_rowhouse()?;
        }
        if victim != Victim::Rowhouse {
            kill(Pid::from_raw(postmaster), Signal::SIGKILL)?;
        }
        Ok(run)
    }

    pub(crate) fn kill_rowhouse(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until ready and healthy; after a kill, with another postmaster than in the `old` run.
    pub(crate) async fn require_well(&mut self, timeout: Duration, old: Option<Run>) -> Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("rowhouse up ended: {status}\n{}", self.last_words());
            }
            let trouble = match self.is_well(old).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            if begun.elapsed() > timeout {
                return Err(trouble.context(format!("not well after {timeout:?}\n{}", self.last_words())));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn is_well(&self, old: Option<Run>) -> Result<()> {
        let run = self.run()?;
        ensure!(run.rowhouse == i64::from(self.child.id()), "state.json is of another run");
        ensure!(
            old.is_none_or(|old| old.postmaster != run.postmaster),
            "state.json names the former postmaster"
        );
        let base = format!("http://127.0.0.1:{}", self.port);
        let ready = self.http.get(format!("{base}/health/ready")).send().await?;
        ensure!(ready.status() == 200, "/health/ready: {}", ready.status());
        let health = self.http.get(format!("{base}/health")).send().await?;
        let (status, text) = (health.status(), health.text().await?);
        ensure!(status == 200 && text.contains(r#""status": "healthy""#), "/health: {status} {text}");
        Ok(())
    }

    /// SIGTERM; then the program has ended with 0 and no process of its PostgreSQL is left.
    pub(crate) async fn terminate(mut self, timeout: Duration) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(begun.elapsed() < timeout, "still running {timeout:?} after SIGTERM");
            tokio::time::sleep(LOOK).await;
        };
        ensure!(status.success(), "after SIGTERM: {status}\n{}", self.last_words());
        let left = self.postgres();
        ensure!(left.is_empty(), "processes {left:?} are left in {}", self.data().display());
        Ok(())
    }

    fn data(&self) -> PathBuf {
        let data = self.folder.path().join(".rowhouse/pg/data");
        data.canonicalize().unwrap_or(data)
    }

    /// Every process of its PostgreSQL.
    fn postgres(&self) -> Vec<i32> {
        let data = self.data();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| works_in(*pid, &data)).collect()
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("up.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ended_already = self.kill_rowhouse();
        for pid in self.postgres() {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

fn works_in(pid: i32, folder: &Path) -> bool {
    std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder)
}

fn spawn(binary: &Path, project: &Path, port: u16, variables: &[(&'static str, String)]) -> Result<Child> {
    let log = std::fs::File::options().create(true).append(true).open(project.join("up.log"))?;
    let mut command = Command::new(binary);
    command.args(["up", "--port", &port.to_string(), "--dir"]).arg(project);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().with_context(|| binary.display().to_string())
}

/// Copies settings, migrations and seed only.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to.join("migrations"))?;
    let migrations = std::fs::read_dir(from.join("migrations"))?.filter_map(Result::ok);
    let names = migrations.map(|entry| Path::new("migrations").join(entry.file_name()));
    for name in names.chain(["rowhouse.toml".into(), "seed.sql".into()]) {
        std::fs::copy(from.join(&name), to.join(&name)).with_context(|| name.display().to_string())?;
    }
    Ok(())
}

/// A port P such that P, P+1, P+3 and P+4 are free (API, PostgreSQL, captured mail, SMTP), below the ephemeral range.
fn free_ports() -> Result<u16> {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    // Campaigns of one process start at different ports, since a free port is not reserved until it is bound.
    let nth = STARTED.fetch_add(1, Ordering::Relaxed) % 100;
    let first = 20_000 + (u16::try_from(std::process::id() % 1000)? + nth) * 10;
    let mut candidates = (first..32_000).step_by(10);
    let all_free = |port: &u16| [0, 1, 3, 4].iter().all(|offset| is_free(port + offset));
    candidates.find(all_free).ok_or_else(|| anyhow!("no free ports"))
}
