//! `psql`: runs psql on the project's database.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rowhouse_db::DbSettings;
use rowhouse_db::embedded::find_binaries;
use rowhouse_kernel::Secret;
use rowhouse_module::{CannotRun, CommandOutcome, Project, State};

/// So that statements of existing guides run unchanged: unqualified names, and settings that they show, empty outside of a
/// request.
const SEARCH_PATH: &str = "-c search_path=public,tenancy,auth,extensions \
    -c app.current_organization_id= -c app.current_user_id=";
/// Settings of a session for libpq's programs.
const OPTIONS: &str = "PGOPTIONS";
/// The role that the project's migrations run as.
const PROJECT: &str = "-c role=rowhouse_project";

/// Replaces this process; returns only when that failed. The project's role is entered from the login `rowhouse`, which is no
/// superuser.
pub(super) fn run(project: &Project, as_project: bool, args: &[String]) -> Result<CommandOutcome, CannotRun> {
    let url = match as_project {
        true => super::migrate::project_url(project)?.expose().to_owned(),
        false => operator_url(project)?,
    };
    let settings = if as_project { format!("{SEARCH_PATH} {PROJECT}") } else { SEARCH_PATH.to_owned() };
    let mut command = Command::new(program());
    let connection = rowhouse_db::url::environment(&Secret::new(url))?;
    let theirs = connection.iter().find(|(name, _)| *name == OPTIONS).map(|(_, options)| options.clone());
    let options = [Some(settings), theirs, std::env::var(OPTIONS).ok()];
    let options: Vec<String> = options.into_iter().flatten().collect();
    command.envs(connection).args(args);
    let error = command.env(OPTIONS, options.join(" ")).exec();
    Err(CannotRun::because(format!("cannot run psql: {error}; install the PostgreSQL client package")))
}

/// Under `up` the superuser of the project's own server, else the login of `DATABASE_URL`.
fn operator_url(project: &Project) -> Result<String, CannotRun> {
    if let Some(state) = State::read(project).filter(|_| State::is_running(project)) {
        return Ok(state.db_url);
    }
    let (settings, _) = crate::modules::settings(project)?;
    let url = settings.get::<DbSettings>().server_url().map(|url| url.expose().to_owned());
    url.ok_or_else(|| {
        CannotRun::because(format!(
            "not running, and no DATABASE_URL; start it with: rowhouse up{}",
            project.dir_option()
        ))
    })
}

/// The psql of the server that was found, else the one on PATH.
fn program() -> PathBuf {
    find_binaries()
        .map(|binaries| binaries.program("psql"))
        .ok()
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from("psql"))
}
