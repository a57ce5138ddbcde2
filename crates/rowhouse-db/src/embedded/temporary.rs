//! A server that only this process reaches: over a Unix socket in a folder of its own, without passwords, for as long as
//! it is needed. For recovering a copy of a cluster and looking into it; leaves what is in the copy to its callers.

use std::error::Error;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::OFlag;
use rowhouse_kernel::Secret;
use tokio::process::Command;
use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::account::Account;
use super::binaries::find_binaries_for;
use super::supervisor::Postmaster;
use super::{ClusterPaths, EmbeddedError, Endpoint, io, log};
use crate::error::DbError;
use crate::url::escaped;

/// In the socket's name only.
const PORT: u16 = 5432;
/// How often a starting server is asked.
const POLL: Duration = Duration::from_millis(50);
/// A server that has refused sign-ins for this long goes on refusing them.
const REFUSED_LIMIT: Duration = Duration::from_secs(60);
/// Everybody who can enter the socket's folder, which is the server's account alone.
const ACCESS: &str = "local all all trust\n";

/// What a copy must never do, whatever its configuration says: be reached from elsewhere, send WAL, mail logs.
const SETTINGS: [(&str, &str); 20] = [
    ("listen_addresses", ""),
    ("ssl", "off"),
    ("archive_mode", "off"),
    // Commands and files of the cluster that was copied.
    ("archive_cleanup_command", ""),
    ("recovery_end_command", ""),
    ("external_pid_file", ""),
    ("shared_preload_libraries", ""),
    ("session_preload_libraries", ""),
    ("local_preload_libraries", ""),
    ("jit", "off"),
    ("synchronous_standby_names", ""),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    // An error of recovery has no SQLSTATE of its own: its text is read.
    ("lc_messages", "C"),
    // The copied cluster may have been configured for locales that this machine has not.
    ("lc_monetary", "C"),
    ("lc_numeric", "C"),
    ("lc_time", "C"),
    ("log_line_prefix", ""),
    ("log_timezone", "UTC"),
    ("max_logical_replication_workers", "0"),
];

/// A running server.
#[derive(Debug)]
pub struct Temporary {
    postmaster: Postmaster,
    endpoint: Endpoint,
    paths: ClusterPaths,
}

impl Temporary {
    /// Starts the server on `paths.data` with further settings; it may still recover when this returns.
    ///
    /// # Errors
    /// If its programs are missing, or a file cannot be written.
    pub fn start(
        paths: &ClusterPaths,
        account: &Account,
        settings: &[(&str, String)],
    ) -> Result<Self, EmbeddedError> {
        let binaries = find_binaries_for(&paths.data)?;
        account.own_folder(&paths.run)?;
        let access = paths.home.join("access.conf");
        write_access(&access, account)?;
        let log = log::open(paths)?;
        let mut command = Command::from(account.command(&binaries.program("postgres")));
        command.arg("-D").arg(&paths.data).arg("-k").arg(&paths.run);
        command.args(["-p", &PORT.to_string()]);
        let fixed = SETTINGS.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let access = [
            ("hba_file", access.display().to_string()),
            ("ident_file", paths.data.join("pg_ident.conf").display().to_string()),
            ("data_directory", paths.data.display().to_string()),
        ];
        for (name, value) in fixed.chain(access).chain(settings.iter().cloned()) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.process_group(0).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(io("cannot open the server's log"))?).stderr(log);
        let child = command.spawn().map_err(io("cannot start postgres"))?;
        let endpoint = Endpoint { socket_dir: paths.run.clone(), port: PORT };
        Ok(Self { postmaster: Postmaster::new(child), endpoint, paths: paths.clone() })
    }

    /// URL of a login.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> Secret {
        let url = self.endpoint.socket_url(&escaped(user), &Secret::new(String::new()));
        Secret::new(url.expose().trim_end_matches("/postgres").to_owned() + "/" + &escaped(database))
    }

    /// Waits until a superuser can sign in.
    ///
    /// # Errors
    /// With the end of its log if the server ends before; with its refusal if it refuses for a minute.
    pub async fn connect(&mut self, superuser: &str) -> Result<Client, EmbeddedError> {
        self.connect_within(superuser, REFUSED_LIMIT).await
    }

    async fn connect_within(&mut self, superuser: &str, limit: Duration) -> Result<Client, EmbeddedError> {
        let url = self.url(superuser, "postgres");
        let mut refused = None;
        loop {
            if self.postmaster.has_ended() {
                return Err(self.failed());
            }
            let error = match crate::connect(&url).await {
                Ok(client) => return Ok(client),
                Err(error) => error,
            };
            if !is_starting(&error) && refused.get_or_insert_with(Instant::now).elapsed() >= limit {
                let what = "signing in to the server of the copy";
                return Err(EmbeddedError::Failed { what, log: error.to_string() });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until recovery has ended and the server takes writes.
    ///
    /// # Errors
    /// With the end of its log if the server ends before: its target was not reached, or WAL is missing.
    pub async fn promoted(&mut self, superuser: &str) -> Result<Client, EmbeddedError> {
        loop {
            let client = self.connect(superuser).await?;
            let row = client.query_one("select pg_is_in_recovery()", &[]).await;
            if row.is_ok_and(|row| !row.get::<_, bool>(0)) {
                return Ok(client);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Everything that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.paths.log).unwrap_or_default()
    }

    /// Shuts it down and waits for its end.
    pub async fn stop(mut self) {
        self.postmaster.stop().await;
    }

    fn failed(&self) -> EmbeddedError {
        EmbeddedError::Failed { what: "the database server", log: self.log() }
    }
}

/// Whether the server does not listen yet, or says that it starts or recovers.
fn is_starting(error: &DbError) -> bool {
    let Some(cause) = error.source().and_then(|cause| cause.downcast_ref::<tokio_postgres::Error>()) else {
        return false;
    };
    let input = cause.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.code() == Some(&SqlState::CANNOT_CONNECT_NOW)
        || input
            .is_some_and(|input| matches!(input.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused))
}

/// As root, never through a link that somebody else has put there.
fn write_access(path: &std::path::Path, account: &Account) -> Result<(), EmbeddedError> {
    let failed = || io(format!("cannot write {}", path.display()));
    let _left_by_a_former_run = std::fs::remove_file(path);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(path).map_err(failed())?;
    file.write_all(ACCESS.as_bytes()).map_err(failed())?;
    account.own(&file, path)
}

#[cfg(test)]
mod tests;
