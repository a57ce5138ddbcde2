//! `migrate down`: takes migrations back.

use rowhouse_db::migrate::{self, DownTarget, Migration};
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::json;

use super::{connect_project, finished, stopped};
use crate::command::consent;

/// What the caller agrees to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Consent {
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    pub(super) wait: bool,
}

pub(super) async fn run(
    project: &Project,
    target: &DownTarget,
    consent: Consent,
) -> Result<CommandOutcome, CannotRun> {
    let migrations = migrate::read_project(&project.migrations())?;
    let client = connect_project(project).await?;
    let files = migrate::plan_down(&client, &project.migrations(), &migrations, target).await?;
    if consent.dry_run || files.is_empty() {
        return Ok(dry_run(&files));
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let what = format!("{} run; what the migrations brought is lost, rows included", names.join(", "));
    consent::require(consent.yes, &what)?;
    let watcher = connect_project(project).await?;
    let work = async { Ok::<_, CannotRun>(migrate::take_back(&client, &files).await?) };
    let steps = migrate::watched(&client, &watcher, stopped(), work).await?;
    finished(&client, "taken back", &steps, consent.wait).await
}

fn dry_run(files: &[Migration]) -> CommandOutcome {
    let sql: String =
        files.iter().map(|file| format!("-- {}\n{}\n", file.name, file.sql.trim_end())).collect();
    let listed: Vec<_> = files.iter().map(|file| json!({ "name": file.name, "sql": file.sql })).collect();
    let text = format!("{sql}would take back {}", files.len());
    CommandOutcome::yes(json!({ "would_take_back": listed }), text)
}
