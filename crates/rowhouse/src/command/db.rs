//! `db`: a database against its migrations.

mod pull;

use std::sync::atomic::AtomicBool;

use rowhouse_db::embedded::{data_folder, stop_orphan};
use rowhouse_db::{DbSettings, migrate};
use rowhouse_module::{CannotRun, CommandOutcome, Project, ProjectLock, State};
use serde_json::json;

use super::migrate::{Content, Rows, connect_project, with_scratch};
use crate::cli::DbCommand;
use crate::command::consent;
use crate::{modules, platform};

/// An interrupt is recorded in `interrupted`.
pub(super) async fn run(
    project: &Project,
    command: &DbCommand,
    interrupted: &AtomicBool,
) -> Result<CommandOutcome, CannotRun> {
    match command {
        DbCommand::Diff => diff(project, interrupted).await,
        DbCommand::Pull => pull::run(project).await,
        DbCommand::Reset { yes } => reset(project, *yes).await,
    }
}

/// Exit code 1 if an object differs from what the applied migrations give in a database of their own.
async fn diff(project: &Project, interrupted: &AtomicBool) -> Result<CommandOutcome, CannotRun> {
    let migrations = migrate::read_project(&project.migrations())?;
    let live = connect_project(project).await?;
    let plan = migrate::plan(&live, &platform::migrations(), &migrations).await?;
    let applied = plan.project.iter().filter(|planned| planned.applied).map(|_| ()).count();
    let content = Content { base: &migrations[..applied], tried: &[], rows: Rows::None };
    let differences = with_scratch(project, content, interrupted, async |_, client| {
        let (settings, _) = modules::settings(project)?;
        modules::modules().after_project_migrations(client, &settings).await?;
        Ok(migrate::difference(client, &live).await?)
    })
    .await?;
    let verdict = if differences.is_empty() { "pass" } else { "fail" };
    let listed: String =
        differences.iter().map(|d| format!("{:<10} {}\n", d.change.as_str(), d.object)).collect();
    let json = json!({ "verdict": verdict, "differences": differences });
    Ok(CommandOutcome { yes: differences.is_empty(), json, text: format!("{listed}{verdict}") })
}

/// Only the data of a cluster that `up` has made, of a project that does not run.
async fn reset(project: &Project, yes: bool) -> Result<CommandOutcome, CannotRun> {
    let (settings, _) = modules::settings(project)?;
    if settings.is_production() || settings.get::<DbSettings>().server_url().is_some() {
        return Err(CannotRun::because(
            "db reset is for development, with the database that `rowhouse up` makes; this project has environment = \"production\" or a DATABASE_URL",
        ));
    }
    if State::is_running(project) {
        return Err(CannotRun::because("the project runs; stop it first: rowhouse stop"));
    }
    let _lock = ProjectLock::take(project)?;
    let Some(data) = data_folder(project.root()) else {
        return Ok(CommandOutcome::yes(json!({ "removed": null }), "there is no database"));
    };
    consent::require(yes, &format!("{} is removed, with all rows", data.display()))?;
    // A killed `up` may have left its server.
    stop_orphan(&data).await.map_err(|error| CannotRun::because(error.to_string()))?;
    std::fs::remove_dir_all(&data)?;
    let text = format!("removed {}; `rowhouse up{}` makes it anew", data.display(), project.dir_option());
    Ok(CommandOutcome::yes(json!({ "removed": data }), text))
}
