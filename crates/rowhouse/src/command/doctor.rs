//! `doctor`: each thing that has to be right, whether it is, and the remedy.

use std::path::Path;

use rowhouse_db::embedded::{Account, find_binaries, port_owner};
use rowhouse_db::migrate::read_project;
use rowhouse_kernel::settings::{ServerSettings, Settings};
use serde::Serialize;
use serde_json::json;

use crate::safety;
use rowhouse_module::Project;
use rowhouse_module::State;
use rowhouse_module::{CannotRun, Outcome};

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

pub(super) async fn run(dir: &Path) -> Result<Outcome, CannotRun> {
    let mut checks = vec![
        Check::from(
            "postgresql",
            find_binaries()
                .map(|b| format!("version {} in {}", b.version, b.folder.display()))
                .map_err(|e| e.to_string()),
        ),
        Check::from(
            "account",
            Account::choose()
                .map(|a| format!("the server would run as {}", a.name()))
                .map_err(|e| e.to_string()),
        ),
    ];
    match Project::open(dir) {
        Ok(project) => check_project(&project, &mut checks).await,
        Err(error) => checks.push(Check::from("project", Err(error.to_string()))),
    }
    let good = checks.iter().all(|check| check.ok);
    let text: String = checks
        .iter()
        .map(|c| format!("{} {:<12} {}\n", if c.ok { "ok  " } else { "FAIL" }, c.name, c.detail))
        .collect();
    Ok(Outcome { yes: good, json: json!({ "ok": good, "checks": checks }), text })
}

async fn check_project(project: &Project, checks: &mut Vec<Check>) {
    checks.push(Check::from("project", Ok(project.root().display().to_string())));
    let migrations = read_project(&project.migrations())
        .map(|all| format!("{} files", all.len()))
        .map_err(|e| e.to_string());
    checks.push(Check::from("migrations", migrations));
    checks.push(Check::from("private", secrets_mode(project)));
    let settings = match crate::modules::settings(project) {
        Ok((settings, _)) => settings,
        Err(error) => return checks.push(Check::from("settings", Err(error.to_string()))),
    };
    checks.push(Check::from("settings", safe(&settings)));
    if State::is_running(project) {
        let status = super::status::run(project).await;
        let ready = status
            .map_err(|error| error.to_string())
            .and_then(|o| if o.yes { Ok(o.text) } else { Err(o.text) });
        checks.push(Check::from("server", ready));
    } else {
        checks.push(Check::from("ports", free_ports(&settings)));
    }
}

fn safe(settings: &Settings) -> Result<String, String> {
    match safety::unsafe_settings(&crate::modules::modules().settings(), settings) {
        found if found.is_empty() => Ok("no mistakes".to_owned()),
        found => Err(found.join("; ")),
    }
}

/// Keys must be readable by their owner alone.
fn secrets_mode(project: &Project) -> Result<String, String> {
    use std::os::unix::fs::PermissionsExt;
    let path = project.private("keys/secrets.toml");
    match path.metadata().map(|file| file.permissions().mode() & 0o777) {
        Ok(0o600) => Ok("secrets are mode 600".to_owned()),
        Ok(mode) => Err(format!("{} is mode {mode:o}; run: chmod 600 {0}", path.display())),
        Err(_) => Ok("no secrets yet".to_owned()),
    }
}

fn free_ports(settings: &Settings) -> Result<String, String> {
    let port = settings.get::<ServerSettings>().port;
    let taken: Vec<String> = [port, port.saturating_add(1)]
        .into_iter()
        .filter_map(|p| port_owner(p).map(|by| format!("{p} is taken by {by}")))
        .collect();
    if taken.is_empty() {
        Ok(format!("{port} and {} are free", port.saturating_add(1)))
    } else {
        Err(format!("{}; choose another with --port", taken.join(", ")))
    }
}
