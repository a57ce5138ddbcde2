//! `doctor`: checks, findings and remedies.

mod database;
mod machine;

use std::path::Path;

use rowhouse_db::DbSettings;
use rowhouse_db::embedded::Account;
use rowhouse_db::migrate::read_project;
use rowhouse_kernel::settings::Settings;
use rowhouse_redis::RedisSettings;
use serde::Serialize;
use serde_json::json;

use super::instance::serving;
use crate::safety;
use rowhouse_module::Project;
use rowhouse_module::State;
use rowhouse_module::{CannotRun, CommandOutcome};

/// One finding.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What was found, or what to do.
    detail: String,
}

impl Check {
    fn from(name: &'static str, result: Result<String, String>) -> Self {
        match result {
            Ok(detail) => Self { name, ok: true, detail },
            Err(detail) => Self { name, ok: false, detail },
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Findings {
    checks: Vec<Check>,
    /// Notes about what may be intended.
    notes: Vec<String>,
}

impl Findings {
    fn check(&mut self, name: &'static str, result: Result<String, String>) {
        self.checks.push(Check::from(name, result));
    }
}

pub(super) async fn run(dir: &Path) -> Result<CommandOutcome, CannotRun> {
    let project = Project::open(dir);
    let mut found = Findings::default();
    found.check("postgresql", machine::postgresql(project.as_ref().ok()));
    found.check(
        "account",
        Account::choose().map(|a| format!("the server would run as {}", a.name())).map_err(|e| e.to_string()),
    );
    match project {
        Ok(project) => check_project(&project, &mut found).await,
        Err(error) => found.check("project", Err(error.to_string())),
    }
    Ok(report(&found))
}

fn report(found: &Findings) -> CommandOutcome {
    let good = found.checks.iter().all(|check| check.ok);
    let checks = found
        .checks
        .iter()
        .map(|c| format!("{} {:<12} {}\n", if c.ok { "ok  " } else { "FAIL" }, c.name, c.detail));
    let notes = found.notes.iter().map(|note| format!("note {note}\n"));
    let text: String = checks.chain(notes).collect();
    CommandOutcome {
        yes: good,
        json: json!({ "ok": good, "checks": found.checks, "notes": found.notes }),
        text,
    }
}

async fn check_project(project: &Project, found: &mut Findings) {
    found.check("project", machine::writable(project));
    let migrations = read_project(&project.migrations());
    let files = migrations.as_ref().map(|all| format!("{} files", all.len())).map_err(ToString::to_string);
    found.check("migrations", files);
    found.check("private", machine::secrets_mode(project));
    let (settings, can_be_read) = match read_settings(project, found) {
        Ok(read) => read,
        Err(error) => return found.check("settings", Err(error.to_string())),
    };
    if !can_be_read {
        return;
    }
    if settings.get::<DbSettings>().server_url().is_none() {
        found.check("extensions", machine::extensions(project, &migrations.unwrap_or_default()));
    }
    if let Some(probed) = rowhouse_redis::probe(&settings.get::<RedisSettings>()).await {
        let detail = probed.map(|server| {
            found.notes.extend(server.notes);
            server.text
        });
        found.check("redis", detail);
    }
    if let Some(key) = rowhouse_backup::drill_key(&settings, project.root()) {
        found.check("drill key", key);
    }
    let running = State::is_running(project) || !serving(project).is_empty();
    if running {
        found.check("server", server(project).await);
    } else {
        found.check("ports", machine::free_ports(&settings));
    }
    if running || settings.get::<DbSettings>().server_url().is_some() {
        database::check(project, &settings, found).await;
    }
}

/// The settings, and whether all of them could be read; checks them.
fn read_settings(project: &Project, found: &mut Findings) -> Result<(Settings, bool), CannotRun> {
    let modules = crate::modules::modules();
    let mut sources = project.sources()?;
    let (settings, mistakes) = Settings::read(&modules.settings(), &mut sources);
    let can_be_read = mistakes.is_empty();
    let reasons = safety::reasons(&modules, project, &settings, mistakes, Vec::new());
    let verdict = if reasons.is_empty() { Ok("no mistakes".to_owned()) } else { Err(reasons.join("; ")) };
    found.check("settings", verdict);
    Ok((settings, can_be_read))
}

async fn server(project: &Project) -> Result<String, String> {
    let status = super::status::run(project).await.map_err(|error| error.to_string())?;
    machine::current_programs(project)?;
    if status.yes { Ok(status.text) } else { Err(status.text) }
}
