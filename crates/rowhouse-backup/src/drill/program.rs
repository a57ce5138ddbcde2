//! Checks by other programs: PostgreSQL's of the pages, and our own commands against the restored database.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rowhouse_db::embedded::{data_version, find_program};
use rowhouse_db::migrate::{self, read_project};
use rowhouse_kernel::Secret;
use rowhouse_module::{CannotRun, Project};
use serde_json::Value;
use tokio::process::Command;

use super::check::{Check, Verdict};
use crate::restore::Restored;

const SMOKE: &str = "smoke";
/// How the variables of `[db]` begin.
const DB_VARIABLES: &str = "ROWHOUSE_DB__";
const LIMIT: Duration = Duration::from_secs(600);
/// Characters of a program's last line in a report.
const SHOWN: usize = 300;

/// `pg_checksums` over a cluster that is shut down.
pub(super) fn data_checksums(restored: &Restored) -> Result<Check, CannotRun> {
    let data = &restored.paths.data;
    let version = data_version(data).unwrap_or_default();
    let programs = ["pg_controldata", "pg_checksums"].map(|name| find_program(version, name));
    let [Some(control), Some(checksums)] = programs else {
        let missing = "pg_checksums and pg_controldata are not installed on this machine";
        return Ok(Check::new("data_checksums", Verdict::Unavailable, missing));
    };
    let run = |program: &Path, further: &[&str]| {
        let mut command = restored.account.command(program);
        command.args(further).arg("-D").arg(data).stdin(Stdio::null()).output()
    };
    let control = run(&control, &[])?;
    let text = String::from_utf8_lossy(&control.stdout);
    let version = text.lines().find_map(|line| line.strip_prefix("Data page checksum version:"));
    if version.map(str::trim) == Some("0") {
        let off = "the cluster has no data checksums; pg_checksums --enable turns them on";
        return Ok(Check::new("data_checksums", Verdict::Unavailable, off));
    }
    let checked = run(&checksums, &["--check"])?;
    Ok(match checked.status.success() {
        true => Check::good("data_checksums", "every page has its checksum"),
        false => Check::failed("data_checksums", &last_line(&checked.stderr)),
    })
}

/// One of our commands, whose exit code is the verdict: 1 is no, 2 could not look, which is no as well.
pub(super) async fn ask(name: &str, words: &[&str], project: &Project, url: &Secret) -> Check {
    let mut command = match own_program() {
        Ok(program) => Command::new(program),
        Err(error) => return Check::failed(name, &error.to_string()),
    };
    command.args(words).arg("--json").arg("--dir").arg(project.root());
    over_copy(&mut command, &[("URL", url.expose()), ("DIRECT_URL", url.expose())]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            Check::good(name, &format!("`rowhouse {}` says yes", words.join(" ")))
        }
        Ok(Ok(output)) => Check::failed(name, &why(words, &output)),
        Ok(Err(error)) => Check::failed(name, &error.to_string()),
        Err(_) => Check::failed(name, &format!("not done within {LIMIT:?}")),
    }
}

/// Makes the command use these databases, by their names in `[db]`, whatever the environment says: any variable of that group that
/// stays could lead to the live database.
pub(super) fn over_copy(command: &mut Command, urls: &[(&str, &str)]) {
    let names_database = |name: &str| name.starts_with(DB_VARIABLES) || name.starts_with("DATABASE_");
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if names_database(&name) {
            command.env_remove(name);
        }
    }
    for (name, url) in urls {
        command.env(format!("{DB_VARIABLES}{name}"), url);
    }
}

/// The smoke queries of the project's migrations, over the login that migrations use.
pub(super) async fn smoke(url: &Secret, project: &Project) -> Check {
    let run = async {
        let client = rowhouse_db::connect(url).await?;
        let migrations = read_project(&project.migrations())?;
        let smokes = migrate::smoke(&client, &migrations).await;
        smokes.map_err(|error| CannotRun::because(error.to_string()))
    };
    let smokes = match run.await {
        Ok(smokes) => smokes,
        Err(error) => return Check::failed(SMOKE, &error.to_string()),
    };
    let failed = smokes.iter().find_map(|smoke| Some((smoke, smoke.error.as_deref()?)));
    match failed {
        Some((smoke, why)) => Check::failed(SMOKE, &format!("{}:{}: {why}", smoke.migration, smoke.line)),
        None if smokes.is_empty() => {
            Check::new(SMOKE, Verdict::Unavailable, "no migration has a smoke query")
        }
        None => Check::good(SMOKE, &format!("{} smoke queries of the project answer", smokes.len())),
    }
}

/// This program, to run it again.
pub(super) fn own_program() -> Result<PathBuf, CannotRun> {
    let found = std::env::current_exe().map(without_mark);
    found.map_err(|error| CannotRun::because(format!("the program does not find itself: {error}")))
}

fn why(words: &[&str], output: &std::process::Output) -> String {
    let document: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let reasons = document.as_ref().and_then(|document| document["error"][0].as_str()).map(str::to_owned);
    let code = output.status.code().map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    format!(
        "`rowhouse {}` ends with {code}: {}",
        words.join(" "),
        reasons.unwrap_or_else(|| last_line(if output.stderr.is_empty() {
            &output.stdout
        } else {
            &output.stderr
        }))
    )
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().next_back().unwrap_or_default().chars().take(SHOWN).collect()
}

/// After an upgrade Linux names a program that was replaced so.
fn without_mark(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(path) => path.into(),
        None => path,
    }
}
