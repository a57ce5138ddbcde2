//! Starts the server, restarts it when it has exited, and stops it with the program.

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

/// First and longest pause before a server is restarted.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// After a run of this length the pauses restart from the first.
const STEADY: Duration = Duration::from_secs(30);
/// Crash recovery may replay much WAL.
const START_TIMEOUT: Duration = Duration::from_secs(300);
/// How often the server's log, its binary and orphaned processes are checked.
const CARE_INTERVAL: Duration = Duration::from_secs(30);

const NO_ACCESS: &str = "\n`up` signs in as the superuser postgres by password, over a Unix socket: pg_hba.conf needs the line: local all all scram-sha-256";
const NO_DATABASE: &str = "\n`up` serves the database postgres: rename the project's database to that";
const WRONG_PASSWORD: &str = "\nthe password in .rowhouse/keys/secrets.toml is not the one this database was created with: restore that file from a copy, or remove .rowhouse to begin anew without the data";

/// The progress of start-up.
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
    /// Its paths.
    pub paths: ClusterPaths,
    /// True when this start created the cluster.
    pub created: bool,
    pid: watch::Receiver<i32>,
    stop: watch::Sender<bool>,
    supervisor: JoinHandle<()>,
}

/// Everything needed to start and restart the server.
#[derive(Clone)]
struct Launch {
    binaries: Binaries,
    account: Account,
    paths: ClusterPaths,
    endpoint: Endpoint,
    password: Secret,
}

impl Embedded {
    /// Starts the project's server on `port`, creating the cluster if necessary, and returns once it answers.
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
        cluster::end_restore(&paths).await?;
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

    /// The postmaster's process id; 0 while it is being restarted.
    #[must_use]
    pub fn pid(&self) -> i32 {
        *self.pid.borrow()
    }

    /// The same as a watch channel.
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

/// The server's process. Dropped while it runs (start-up failed later or was cancelled), it is told to shut down.
#[derive(Debug)]
pub(super) struct Postmaster(Child);

impl Postmaster {
    pub(super) fn new(child: Child) -> Self {
        Self(child)
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Its process id; 0 once it has ended.
    fn pid(&self) -> i32 {
        self.0.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0)
    }

    pub(super) async fn stop(&mut self) {
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
    /// Spawns the server and waits until it takes connections; if it exits first, the end of its log is the error.
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
        own_files(&mut command, &self.paths.data);
        // A process group of its own: Ctrl-C must reach the program only, which finishes requests before it stops the
        // server.
        command.process_group(0).stdin(std::process::Stdio::null());
        command.stdout(log.try_clone().map_err(io("cannot open the server's log"))?).stderr(log);
        command.spawn().map(Postmaster).map_err(io("cannot start postgres"))
    }

    /// Returns once a sign-in succeeds; fails at once if it is refused for good.
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
                Err(error) => {
                    if let Some(remedy) = error.code().and_then(remedy) {
                        return Err(EmbeddedError::Failed {
                            what: "signing in to the database server",
                            log: DbError::from(error).to_string() + remedy,
                        });
                    }
                }
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

    /// Waits for a dead postmaster's backends, then restarts the server.
    async fn restart(&self) -> Result<Postmaster, EmbeddedError> {
        postmaster::clear_leftovers(&self.paths).await?;
        self.start().await
    }
}

/// Has the server use the files of its data directory. The configuration of a cluster that was restored or copied may name those of the
/// original, whose data it would take for its own.
fn own_files(command: &mut Command, data: &Path) {
    let files = [
        ("data_directory", data.to_owned()),
        ("hba_file", data.join("pg_hba.conf")),
        ("ident_file", data.join("pg_ident.conf")),
    ];
    for (name, path) in files {
        command.arg("-c").arg(format!("{name}={}", path.display()));
    }
    command.args(["-c", "external_pid_file="]);
}

/// Restarts the server whenever it exits, until it is to stop. A server that merely does not answer is not killed: it
/// may be busy, and would lose unacknowledged work.
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
            // Recovery may take minutes; if the start is cancelled, the starting server is stopped.
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

/// Periodic work while the server runs.
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

/// Returns when the server is to stop, or when the sender is dropped.
async fn stop_requested(stopped: &mut watch::Receiver<bool>) {
    let _sender_gone = stopped.wait_for(|stop| *stop).await;
}

/// What to do about a refusal that no waiting ends.
fn remedy(code: &SqlState) -> Option<&'static str> {
    match code {
        code if *code == SqlState::INVALID_PASSWORD => Some(WRONG_PASSWORD),
        code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => Some(NO_ACCESS),
        code if *code == SqlState::INVALID_CATALOG_NAME => Some(NO_DATABASE),
        _ => None,
    }
}

fn require_free(port: u16) -> Result<(), EmbeddedError> {
    match std::net::TcpListener::bind(("127.0.0.1", port)) {
        Ok(_free) => Ok(()),
        Err(_) => Err(EmbeddedError::PortTaken { port, by: port_owner(port) }),
    }
}
