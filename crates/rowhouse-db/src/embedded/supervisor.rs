//! Starts the server, starts it again when it has exited, and stops it with us.

use std::path::Path;
use std::time::Duration;

use rowhouse_kernel::Secret;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;

use super::account::Account;
use super::binaries::{Binaries, find_binaries_for};
use super::process::{is_replaced, port_owner};
use super::reaper::Reaper;
use super::{ClusterPaths, EmbeddedError, Endpoint, cluster, io, log, postmaster};
use crate::error::DbError;

/// First and longest pause before an exited server is started again.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// A server that has run this long starts with the first pause again.
const STEADY: Duration = Duration::from_secs(30);
/// Recovery after a crash may replay much; it is progress, not failure.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// How often the server's log, its program and orphaned processes are looked at.
const CARE_INTERVAL: Duration = Duration::from_secs(30);

const WRONG_PASSWORD: &str = "\nthe password in .rowhouse/keys/secrets.toml is not the one this database was created with: restore that file from a copy, or remove .rowhouse to begin anew without the data";

/// What start-up is doing, for whoever waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// initdb runs.
    Creating,
    /// The server starts, or recovers.
    Starting,
}

/// A supervised server.
#[derive(Debug)]
pub struct Embedded {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Where it lives.
    pub paths: ClusterPaths,
    /// True when this start created the cluster.
    pub created: bool,
    pid: watch::Receiver<i32>,
    stop: watch::Sender<bool>,
    supervisor: JoinHandle<()>,
}

/// All that is needed to start the server, again and again.
#[derive(Clone)]
struct Launch {
    binaries: Binaries,
    account: Account,
    paths: ClusterPaths,
    endpoint: Endpoint,
    password: Secret,
}

impl Embedded {
    /// Starts the project's server on `port`, creating the cluster first if need be, and returns once it answers.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub async fn start(
        project: &Path,
        port: u16,
        password: &Secret,
        report: impl Fn(Progress),
    ) -> Result<Self, EmbeddedError> {
        let account = Account::choose()?;
        cluster::set_aside_removed(project).await?;
        let paths = ClusterPaths::prepare(project, &account)?;
        let binaries = find_binaries_for(&paths.data)?;
        postmaster::clear_leftovers(&paths).await?;
        require_free(port)?;
        if !paths.data.join("PG_VERSION").exists() {
            report(Progress::Creating);
        }
        let created = cluster::ensure(&paths, &binaries, &account, password)?;
        report(Progress::Starting);
        let endpoint = Endpoint { socket_dir: paths.run.clone(), port };
        let launch = Launch {
            binaries,
            account,
            paths: paths.clone(),
            endpoint: endpoint.clone(),
            password: password.clone(),
        };
        let postmaster = launch.start().await?;
        let (tell_pid, pid) = watch::channel(postmaster.pid());
        let (stop, stopped) = watch::channel(false);
        let supervisor = tokio::spawn(supervise(launch, postmaster, tell_pid, stopped));
        Ok(Self { endpoint, paths, created, pid, stop, supervisor })
    }

    /// The postmaster's process id; 0 while it is being started again.
    #[must_use]
    pub fn pid(&self) -> i32 {
        *self.pid.borrow()
    }

    /// The same for whoever wants to hear of changes.
    #[must_use]
    pub fn watch_pid(&self) -> watch::Receiver<i32> {
        self.pid.clone()
    }

    /// Shuts the server down and waits for its end.
    pub async fn stop(self) {
        if self.stop.send(true).is_ok() {
            let _panicked = self.supervisor.await;
        }
    }
}

/// A server process of ours. Dropped while it runs (start-up failed later on, or was given up), it is asked to shut
/// down; nothing of ours is left behind.
#[derive(Debug)]
struct Postmaster(Child);

impl Postmaster {
    /// Its process id; 0 once it has ended.
    fn pid(&self) -> i32 {
        self.0.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0)
    }

    async fn stop(&mut self) {
        let pid = self.pid();
        if pid == 0 {
            return;
        }
        let (stopped, _status) = tokio::join!(postmaster::stop(pid), self.0.wait());
        if let Err(error) = stopped {
            tracing::error!(%error, "the database server did not stop");
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if self.pid() != 0 {
            postmaster::tell_to_stop(self.pid());
        }
    }
}

impl Launch {
    /// Spawns the server and waits until it takes connections; if it exits first, its last words are the error.
    async fn start(&self) -> Result<Postmaster, EmbeddedError> {
        self.account.own_folder(&self.paths.run)?;
        let mut postmaster = self.spawn()?;
        let ready = tokio::time::timeout(START_TIMEOUT, self.ready());
        tokio::select! {
            ready = ready => match ready {
                Ok(Ok(())) => Ok(postmaster),
                Ok(Err(refused)) => {
                    postmaster::stop(postmaster.pid()).await?;
                    Err(refused)
                }
                Err(_) => {
                    postmaster::stop(postmaster.pid()).await?;
                    Err(self.failed())
                }
            },
            _exited = postmaster.0.wait() => Err(self.failed()),
        }
    }

    fn spawn(&self) -> Result<Postmaster, EmbeddedError> {
        log::keep_short(&self.paths);
        let log = log::open(&self.paths)?;
        let mut command = Command::from(self.account.command(&self.binaries.program("postgres")));
        command.arg("-D").arg(&self.paths.data).arg("-k").arg(&self.paths.run);
        command.args(["-h", "127.0.0.1", "-p", &self.endpoint.port.to_string()]);
        // Its own process group: Ctrl-C is for us, who let requests finish before the server goes.
        command.process_group(0).stdin(std::process::Stdio::null());
        command.stdout(log.try_clone().map_err(io("cannot open the server's log"))?).stderr(log);
        command.spawn().map(Postmaster).map_err(io("cannot start postgres"))
    }

    /// Returns once the server lets us in; a password that it does not take will not become right by waiting.
    async fn ready(&self) -> Result<(), EmbeddedError> {
        let url = self.endpoint.socket_url("postgres", &self.password);
        let target = crate::url::target(&url).map_err(|error| EmbeddedError::Failed {
            what: "reading the database server's address",
            log: error.to_string(),
        })?;
        loop {
            match target.connect().await {
                Ok((_client, connection)) => {
                    drop(connection);
                    return Ok(());
                }
                Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => {
                    return Err(EmbeddedError::Failed {
                        what: "signing in to the database server",
                        log: DbError::from(error).to_string() + WRONG_PASSWORD,
                    });
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    fn failed(&self) -> EmbeddedError {
        let text = std::fs::read_to_string(&self.paths.log).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.reverse();
        EmbeddedError::Failed { what: "the database server", log: lines.join("\n") }
    }

    /// A dead postmaster's backends are waited for; then the server is started again.
    async fn restart(&self) -> Result<Postmaster, EmbeddedError> {
        postmaster::clear_leftovers(&self.paths).await?;
        self.start().await
    }
}

/// Waits for the server's end and starts it again, until it is to stop. A server that merely does not answer is
/// left alone: it may be busy, and killing it would lose what it is about to acknowledge.
async fn supervise(
    launch: Launch,
    mut postmaster: Postmaster,
    pid: watch::Sender<i32>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut backoff = FIRST_BACKOFF;
    let mut care = Care::default();
    loop {
        let started = tokio::time::Instant::now();
        let status = loop {
            tokio::select! {
                status = postmaster.0.wait() => break status,
                () = stop_requested(&mut stopped) => return postmaster.stop().await,
                () = tokio::time::sleep(CARE_INTERVAL) => care.take(&launch, postmaster.pid()),
            }
        };
        pid.send_replace(0);
        tracing::error!(?status, "the database server has exited; starting it again");
        if started.elapsed() > STEADY {
            backoff = FIRST_BACKOFF;
        }
        postmaster = loop {
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = stop_requested(&mut stopped) => return,
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
            // Recovery may take minutes; given up, the server that begins is stopped.
            let restarted = tokio::select! {
                restarted = launch.restart() => restarted,
                () = stop_requested(&mut stopped) => return,
            };
            match restarted {
                Ok(postmaster) => break postmaster,
                Err(error) => tracing::error!(%error, "the database server does not start"),
            }
        };
        pid.send_replace(postmaster.pid());
    }
}

/// What is done beside a running server.
#[derive(Default)]
struct Care {
    reaper: Reaper,
    replaced: Option<i32>,
}

impl Care {
    fn take(&mut self, launch: &Launch, pid: i32) {
        log::keep_short(&launch.paths);
        self.reaper.reap();
        if is_replaced(pid) && self.replaced.replace(pid) != Some(pid) {
            let folder = launch.binaries.folder.display();
            tracing::warn!(
                pid,
                "PostgreSQL in {folder} was upgraded under the running server; stop and start rowhouse to use it"
            );
        }
    }
}

/// Returns when the server is to stop, or when nobody is left who could say so.
async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    let _sender_gone = stopped.wait_for(|stop| *stop).await;
}

fn require_free(port: u16) -> Result<(), EmbeddedError> {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_free) => Ok(()),
        Err(_) => Err(EmbeddedError::PortTaken { port, by: port_owner(port) }),
    }
}
