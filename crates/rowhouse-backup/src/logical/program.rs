//! PostgreSQL's client programs: which one fits, and how it is run. Its login goes into its environment, since everybody on the
//! machine can read arguments.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rowhouse_db::DbError;
use rowhouse_db::embedded::{EmbeddedError, find_client};
use rowhouse_kernel::Secret;
use rowhouse_module::CannotRun;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// What is kept of a program's complaints, from their beginning.
const SAID_BYTES: usize = 16 * 1024;
/// Variables that a program needs besides those of its connection.
const KEPT: [&str; 2] = ["PATH", "HOME"];

/// A program of at least this major version.
pub(crate) fn find(name: &str, version: u32) -> Result<(PathBuf, u32), EmbeddedError> {
    find_client(name, version)
}

/// A command that connects as the URL says. This process's own variables for libpq would change that.
pub(crate) fn command(program: &Path, url: &Secret) -> Result<Command, DbError> {
    let mut command = bare(program);
    command.envs(rowhouse_db::url::environment(url)?).env("PGCONNECT_TIMEOUT", "10");
    Ok(command)
}

/// A command that connects nowhere.
fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C.UTF-8");
    command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
}

/// A program at work; it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    said: JoinHandle<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command, name: &'static str) -> Result<Self, CannotRun> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| CannotRun::because(format!("{name} cannot be started: {error}")))?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok(Self { name, child, input, output, said: tokio::spawn(listen(errors)) })
    }

    /// What it writes.
    pub(crate) fn output(&mut self) -> Option<&mut ChildStdout> {
        self.output.as_mut()
    }

    /// The same, for another task.
    pub(crate) fn take_output(&mut self) -> Option<ChildStdout> {
        self.output.take()
    }

    /// Gives it bytes; false once it reads no more.
    pub(crate) async fn feed(&mut self, bytes: &[u8]) -> bool {
        let Some(input) = &mut self.input else { return false };
        let is_reading = input.write_all(bytes).await.is_ok();
        if !is_reading {
            self.input = None;
        }
        is_reading
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// With what it has said, if it has failed.
    pub(crate) async fn end(mut self) -> Result<(), CannotRun> {
        drop((self.input.take(), self.output.take()));
        let status = self.child.wait().await?;
        let said = self.said.await.unwrap_or_default();
        match status.success() {
            true => Ok(()),
            false => Err(CannotRun::because(format!("{}: {}", self.name, said.trim()))),
        }
    }
}

async fn listen(errors: Option<ChildStderr>) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    if let Some(mut errors) = errors {
        while let Ok(read @ 1..) = errors.read(&mut buffer).await {
            kept.extend_from_slice(&buffer[..read.min(SAID_BYTES - kept.len())]);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// `pg_restore --list`, which reads an archive's table of contents from what it is fed; none if no such program is here.
pub(crate) fn lists(version: u32) -> Option<Process> {
    let (program, _) = find("pg_restore", version).ok()?;
    let mut command = bare(&program);
    // What it prints is of no interest; unread, it would fill the pipe.
    command.args(["--list", "--file=/dev/null"]);
    Process::start(command, "pg_restore --list").ok()
}

/// The same, for its entries of what is made when the rows are there.
pub(crate) fn list_post_data(version: u32) -> Result<Process, CannotRun> {
    let (program, _) = find("pg_restore", version)?;
    let mut command = bare(&program);
    command.args(["--list", "--section=post-data"]);
    Process::start(command, "pg_restore --list")
}
