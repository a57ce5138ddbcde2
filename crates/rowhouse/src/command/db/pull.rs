//! `db pull`: the first migration from the tables that are there.

use std::process::Stdio;

use rowhouse_db::embedded::find_binaries;
use rowhouse_db::migrate::{self, Migration};
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use rowhouse_rest::RestSettings;
use serde_json::json;

use crate::command::migrate::{connect_project, new_file, owner_url};
use crate::modules;

const HEAD: &str = "-- What was there when `rowhouse db pull` wrote this.\n-- rowhouse: reversible no\n\n";
/// What pg_dump says to its session, and what is there already.
const LEFT_OUT: [&str; 6] =
    ["SET ", "SELECT pg_catalog.set_config", "\\", "CREATE SCHEMA public;", "COMMENT ON SCHEMA public", "--"];

pub(super) async fn run(project: &Project) -> Result<CommandOutcome, CannotRun> {
    if !migrate::read_project(&project.migrations())?.is_empty() {
        return Err(CannotRun::because(
            "the project has migrations; `rowhouse db diff` names what they do not give",
        ));
    }
    let client = connect_project(project).await?;
    let (settings, _) = modules::settings(project)?;
    let sql = format!("{HEAD}{}", body(&dump(project, &settings.get::<RestSettings>().schemas).await?));
    let path = new_file(project, "pulled", &sql, crate::command::clock().now())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    migrate::record_applied(&client, &Migration::new(name, &sql)).await?;
    let path = path.display().to_string();
    let text = format!("wrote {path}, which counts as applied");
    Ok(CommandOutcome::yes(json!({ "written": path }), text))
}

/// The definitions in these schemas. Owners are left out: a migration's objects are the project's.
async fn dump(project: &Project, schemas: &[String]) -> Result<String, CannotRun> {
    let program = find_binaries()?.program("pg_dump");
    let mut command = tokio::process::Command::new(&program);
    command.args(["--schema-only", "--no-owner", "--no-publications", "--no-subscriptions"]);
    command.args(schemas.iter().map(|schema| format!("--schema={schema}")));
    command.envs(rowhouse_db::url::environment(&owner_url(project)?)?).stdin(Stdio::null());
    let done = command.output().await;
    let done = done.map_err(|error| CannotRun::because(format!("{}: {error}", program.display())))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => {
            Err(CannotRun::because(format!("pg_dump: {}", String::from_utf8_lossy(&done.stderr).trim())))
        }
    }
}

/// Without comments of pg_dump and blank lines that follow each other.
fn body(dump: &str) -> String {
    let mut body = String::from("SET check_function_bodies = false;\n\n");
    let mut is_blank = true;
    for line in dump.lines() {
        let is_left_out = LEFT_OUT.iter().any(|start| line.starts_with(start));
        if is_left_out || (line.is_empty() && is_blank) {
            continue;
        }
        is_blank = line.is_empty();
        body.push_str(line);
        body.push('\n');
    }
    body
}
