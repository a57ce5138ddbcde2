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
/// What pg_dump says to its session at the beginning, and what is there already.
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

/// Without the beginning, which is for pg_dump's session, and psql's last word. Nothing behind the first definition is left out:
/// a line that looks alike may be part of a function or a text.
fn body(dump: &str) -> String {
    let is_kept = |line: &str| !line.is_empty() && !LEFT_OUT.iter().any(|start| line.starts_with(start));
    let mut lines: Vec<&str> = Vec::new();
    let mut rest = dump.lines();
    for line in rest.by_ref() {
        if is_kept(line) {
            lines.push(line);
            // Schemas come before everything else.
            if !line.starts_with("CREATE SCHEMA ") && !line.starts_with("COMMENT ON SCHEMA ") {
                break;
            }
        }
    }
    lines.extend(rest);
    while lines.last().is_some_and(|line| line.is_empty() || line.starts_with("\\unrestrict ")) {
        lines.pop();
    }
    format!("SET check_function_bodies = false;\n\n{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn lines_of_functions_and_texts_that_look_like_settings_stay() {
        let function = "CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $$\nupdate public.t\nSET a = 1\n-- all\n\n\nwhere true $$;";
        let dump = format!(
            "--\n-- dump\n--\n\n\\restrict x\n\nSET a = 0;\nCREATE SCHEMA api;\nCREATE SCHEMA public;\n\n{function}\n\n\\unrestrict x\n\n"
        );
        assert_eq!(
            body(&dump),
            format!("SET check_function_bodies = false;\n\nCREATE SCHEMA api;\n{function}\n")
        );
    }
}
