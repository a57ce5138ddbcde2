//! `migrate down`: takes migrations back.

use std::sync::atomic::AtomicBool;

use rowhouse_db::migrate::{self, DownTarget, Migration};
use rowhouse_module::{CannotRun, CommandOutcome, Project, interruption};
use serde_json::json;

use super::{connect_project, finished, interrupt, read_files};
use crate::cli::DownArgs;
use crate::command::consent;
use crate::platform;

pub(super) async fn run(
    project: &Project,
    args: &DownArgs,
    interrupted: &AtomicBool,
) -> Result<CommandOutcome, CannotRun> {
    let target = args.to.clone().map_or(DownTarget::Steps(args.steps), DownTarget::To);
    let migrations = read_files(project)?;
    let client = connect_project(project).await?;
    let files = migrate::plan_down(&client, &project.migrations(), &migrations, &target).await?;
    if args.dry_run || files.is_empty() {
        return Ok(dry_run(&files));
    }
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let what =
        format!("{} would run; what the migrations brought would be lost, rows included", names.join(", "));
    consent::require(args.yes, &what)?;
    let watcher = connect_project(project).await?;
    let before = migrate::plan(&client, &platform::migrations(), &migrations).await?;
    let work = async { Ok::<_, CannotRun>(migrate::take_back(&client, &files).await?) };
    let run = migrate::watched(&client, &watcher, interruption(interrupted), work).await;
    let steps = interrupt::told(&watcher, &migrations, &before, interrupted, run).await?;
    finished(&client, "taken back", &steps, !args.no_wait).await
}

fn dry_run(files: &[Migration]) -> CommandOutcome {
    let sql: String =
        files.iter().map(|file| format!("-- {}\n{}\n", file.name, file.sql.trim_end())).collect();
    let listed: Vec<_> = files.iter().map(|file| json!({ "name": file.name, "sql": file.sql })).collect();
    let text = format!("{sql}would take back {}", files.len());
    CommandOutcome::yes(json!({ "would_take_back": listed }), text)
}
