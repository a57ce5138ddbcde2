//! `stop`: tells the project's server to stop, and waits for its end.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_db::embedded::{self, data_folder, holds_open};
use serde_json::json;

use rowhouse_module::Project;
use rowhouse_module::State;
use rowhouse_module::{CannotRun, CommandOutcome};

use super::instance::serving;

/// Time for requests in flight and the database's shutdown.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub(super) async fn run(project: &Project) -> Result<CommandOutcome, CannotRun> {
    if !State::is_running(project) {
        return stop_orphan(project).await;
    }
    let state =
        State::read(project).ok_or_else(|| CannotRun::because("the server is still starting; try again"))?;
    let pid = i32::try_from(state.pid).map_err(|_| CannotRun::because("state.json names no process"))?;
    if !holds_open(state.pid, &project.private("up.lock")) {
        return Err(CannotRun::because(format!(
            "the project runs, but not as process {pid} of what can be seen from here: it is in another container, or another account's; stop it there"
        )));
    }
    kill(Pid::from_raw(pid), Signal::SIGTERM)
        .map_err(|error| CannotRun::because(format!("cannot stop process {pid}: {error}")))?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    while State::is_running(project) {
        if Instant::now() > deadline {
            return Err(CannotRun::because(format!("process {pid} has not ended within {STOP_TIMEOUT:?}")));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(CommandOutcome::yes(
        json!({ "stopped": true, "was_running": true, "pid": pid }),
        format!("stopped (pid {pid})"),
    ))
}

/// Stops the PostgreSQL that a killed program has left running.
async fn stop_orphan(project: &Project) -> Result<CommandOutcome, CannotRun> {
    let orphan = match data_folder(project.root()) {
        Some(data) => embedded::stop_orphan(&data).await?,
        None => None,
    };
    let text = match orphan {
        Some(pid) => format!("not running; stopped the PostgreSQL that it had left behind (pid {pid})"),
        None => match serving(project).as_slice() {
            [] => "not running".to_owned(),
            [first, ..] => format!(
                "no `up` is running; a `serve` is (pid {}), which ends on SIGTERM or by whatever has started it",
                first.pid
            ),
        },
    };
    Ok(CommandOutcome::yes(
        json!({ "stopped": orphan.is_some(), "was_running": false, "pg_pid": orphan }),
        text,
    ))
}
