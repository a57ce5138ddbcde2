//! A worker in a process of its own: this test program, started again.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::{Worker, WorkerParts};
use rowhouse_kernel::{Secret, SystemClock, SystemRng};
use rowhouse_testkit::{LIMIT, until_some};

use super::act;

const URL: &str = "ROWHOUSE_CHAOS_URL";
const ITSELF: &str = "chaos::process::worker_process_runs_jobs_until_its_parent_ends";

/// Started by the campaign; started as a test it has no parent to work for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_process_runs_jobs_until_its_parent_ends() {
    let Ok(url) = std::env::var(URL) else { return };
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let settings =
        DbSettings { control_pool_size: 5, acquire_timeout: Duration::from_secs(2), ..DbSettings::default() };
    let url = Secret::new(url);
    let control = Control::open(&url, &settings).unwrap();
    // The worker's connections are its own: handlers that wait for one must not silence it.
    let settings = DbSettings { control_pool_size: 3, ..settings };
    let handlers = Control::open(&url, &settings).unwrap();
    let start = async || {
        let parts = WorkerParts {
            control: control.clone(),
            registry: act::registry(&handlers),
            concurrency: 8,
            release: "1.0.0".to_owned(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        };
        // The database may be away.
        Worker::start(parts).await.inspect_err(|error| tracing::warn!(%error, "the worker cannot start")).ok()
    };
    let worker = until_some("the worker starts", LIMIT, start).await;
    let eof = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
    let _eof = eof.await;
    worker.stop(Duration::from_secs(5)).await;
}

/// Killed when dropped.
pub(super) struct Process(Child);

impl Process {
    pub(super) fn start(url: &str, log: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([ITSELF, "--exact", "--nocapture"]).env(URL, url);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        Self(command.spawn().unwrap())
    }

    pub(super) fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// kill -9.
    pub(super) fn kill(&mut self) {
        let _ended_already = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder for logs and sockets, which every account may enter.
pub(super) fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("rh-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}
