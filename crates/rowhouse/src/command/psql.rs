//! `psql`: runs psql on the project's database.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rowhouse_db::embedded::find_binaries;

use rowhouse_db::DbSettings;
use rowhouse_module::Project;
use rowhouse_module::State;
use rowhouse_module::{CannotRun, CommandOutcome};

/// So that statements of existing guides run unchanged.
const SEARCH_PATH: &str = "-c search_path=public,tenancy,auth,extensions";

/// Replaces this process; returns only when that failed.
pub(super) fn run(project: &Project, args: &[String]) -> Result<CommandOutcome, CannotRun> {
    let (settings, _) = crate::modules::settings(project)?;
    let url = match State::read(project).filter(|_| State::is_running(project)) {
        Some(state) => state.db_url,
        None => {
            settings.get::<DbSettings>().server_url().map(|url| url.expose().to_owned()).ok_or_else(|| {
                CannotRun::because(format!(
                    "not running, and no DATABASE_URL; start it with: rowhouse up --dir {}",
                    project.root().display()
                ))
            })?
        }
    };
    // The URL holds a password and must not show in the process list.
    let mut command = Command::new(program());
    command.envs(connection(&url)?).args(args);
    let options = std::env::var("PGOPTIONS")
        .map_or_else(|_| SEARCH_PATH.to_owned(), |own| format!("{SEARCH_PATH} {own}"));
    let error = command.env("PGOPTIONS", options).exec();
    Err(CannotRun::because(format!("cannot run psql: {error}; install the PostgreSQL client package")))
}

/// The psql of the server that was found, else the one on PATH.
fn program() -> PathBuf {
    find_binaries()
        .map(|binaries| binaries.program("psql"))
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("psql"))
}

fn connection(url: &str) -> Result<Vec<(&'static str, String)>, CannotRun> {
    let config: tokio_postgres::Config =
        url.parse().map_err(|error| CannotRun::because(format!("bad database URL: {error}")))?;
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        Some(tokio_postgres::config::Host::Unix(folder)) => folder.display().to_string(),
        None => "127.0.0.1".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or("postgres").to_owned();
    let database = config.get_dbname().unwrap_or(&user).to_owned();
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    Ok(vec![
        ("PGHOST", host),
        ("PGPORT", port.to_string()),
        ("PGUSER", user),
        ("PGDATABASE", database),
        ("PGPASSWORD", password),
    ])
}
