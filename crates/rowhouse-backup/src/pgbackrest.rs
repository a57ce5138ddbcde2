//! Drives a pgBackRest that backs the cluster up already: its repository, its keys and its retention are its own.
//!
//! Leaves what its answers mean to `info`.

mod info;
mod watch;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rowhouse_db::embedded::Account;
use rowhouse_module::CannotRun;
use tokio::process::Command;

pub(crate) use info::Backup;
pub(crate) use watch::start;

use crate::settings::{Adapter, BackupSettings};

/// Found on the PATH.
const PROGRAM: &str = "pgbackrest";

/// A stanza of pgBackRest.
#[derive(Debug, Clone)]
pub(crate) struct PgBackRest {
    program: PathBuf,
    stanza: String,
    config: Option<String>,
}

/// What its `verify` has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) is_good: bool,
    pub(crate) text: String,
}

impl PgBackRest {
    /// That of the settings; none unless they ask for it.
    pub(crate) fn of(settings: &BackupSettings) -> Option<Self> {
        (settings.adapter == Adapter::PgBackRest).then(|| Self {
            program: PathBuf::from(PROGRAM),
            stanza: settings.stanza.clone().unwrap_or_default(),
            config: settings.pgbackrest_config.clone(),
        })
    }

    pub(crate) fn stanza(&self) -> &str {
        &self.stanza
    }

    /// The backups of the stanza, the oldest first.
    pub(crate) async fn backups(&self) -> Result<Vec<Backup>, CannotRun> {
        info::read(&self.run("info", &["--output=json"]).await?, &self.stanza)
    }

    /// Makes a backup and returns it, the newest that there is then.
    pub(crate) async fn back_up(&self, label: &str) -> Result<Backup, CannotRun> {
        let annotation = format!("--annotation=label={label}");
        let options = [annotation.as_str()];
        self.run("backup", if label.is_empty() { &[] } else { &options }).await?;
        self.backups().await?.pop().ok_or_else(|| CannotRun::because("pgbackrest made no backup"))
    }

    /// Its exit code is 0 whatever it finds.
    pub(crate) async fn verify(&self) -> Result<Verdict, CannotRun> {
        let text = self.run("verify", &["--output=text", "--verbose"]).await?;
        let is_good = text.lines().any(|line| line.trim() == "status: ok");
        Ok(Verdict { is_good, text: text.trim_end().to_owned() })
    }

    /// Removes what its configuration does not keep.
    pub(crate) async fn expire(&self, dry_run: bool) -> Result<(), CannotRun> {
        self.run("expire", if dry_run { &["--dry-run"] } else { &[] }).await.map(drop)
    }

    /// Writes the cluster's files into a folder that exists and is empty, with a configuration that replays up to the target.
    pub(crate) async fn restore(
        &self,
        id: Option<&str>,
        target: &[String],
        data: &Path,
    ) -> Result<(), CannotRun> {
        let path = format!("--pg1-path={}", data.display());
        let set = id.map(|id| format!("--set={id}"));
        let options =
            [path.as_str()].into_iter().chain(set.as_deref()).chain(target.iter().map(String::as_str));
        self.run("restore", &options.collect::<Vec<_>>()).await.map(drop)
    }

    /// Runs a command as the account that owns clusters, which owns its repository, too.
    async fn run(&self, name: &str, options: &[&str]) -> Result<String, CannotRun> {
        let account = Account::choose()?;
        let mut command = Command::from(account.command(&self.program));
        command.args(self.config.iter().map(|file| format!("--config={file}")));
        command.arg(format!("--stanza={}", self.stanza));
        // Only an error is said, once.
        command.args(["--log-level-console=off", "--log-level-stderr=error", "--no-log-timestamp", name]);
        command.args(options).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| self.missing(&error))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(CannotRun::because(format!(
                "pgbackrest {name} of the stanza {}: {}",
                self.stanza,
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
        }
    }

    fn missing(&self, error: &std::io::Error) -> CannotRun {
        CannotRun::because(format!(
            "{} cannot be started ({error}): install it (Debian: apt-get install pgbackrest), or set backup.adapter to \"none\"",
            self.program.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::PgBackRest;

    #[tokio::test]
    async fn program_that_is_not_installed_is_named_with_the_remedy() {
        let adapter =
            PgBackRest { program: "/nonexistent/pgbackrest".into(), stanza: "main".to_owned(), config: None };
        let why = adapter.backups().await.unwrap_err().to_string();
        assert!(why.contains("apt-get install pgbackrest"), "{why}");
    }
}
