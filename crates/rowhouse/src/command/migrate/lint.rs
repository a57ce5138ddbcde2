//! `migrate lint`, and the same before `migrate up`.

use std::path::{Path, PathBuf};

use rowhouse_db::migrate::{self, Linted, Migration};
use rowhouse_kernel::settings::Settings;
use rowhouse_lint::{Context, Finding, Judged, Report, Severity};
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use rowhouse_rest::RestSettings;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::{connect_project, read_files};
use crate::{modules, platform};

/// Exit code 1 if an error was found. A database that can be reached is asked what reads columns.
pub(super) async fn run(project: &Project, files: &[PathBuf]) -> Result<CommandOutcome, CannotRun> {
    let (settings, _) = modules::settings(project)?;
    if !project.root().join("rowhouse.toml").is_file() && !project.migrations().is_dir() {
        return Err(CannotRun::because(format!(
            "{} is no project: it has neither rowhouse.toml nor migrations; name one with --dir",
            project.root().display()
        )));
    }
    let mut migrations = read_files(project)?;
    let names = match files {
        [] => migrations.iter().map(|migration| migration.name.clone()).collect(),
        files => files.iter().map(|file| named(file, &mut migrations)).collect::<Result<Vec<_>, _>>()?,
    };
    let client = connect_project(project).await.ok();
    let context = context(client.as_ref(), &settings).await?;
    let report = rowhouse_lint::lint(&migrations, Judged::Alone(&names), &context);
    Ok(outcome(&report, client.is_some()))
}

/// The migration in the file; one outside the project's folder comes behind all of its migrations.
fn named(file: &Path, migrations: &mut Vec<Migration>) -> Result<String, CannotRun> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file)
        .map_err(|error| CannotRun::because(format!("{}: {error}", file.display())))?;
    let migration = Migration::new(name.clone(), &text);
    match migrations.iter_mut().find(|known| known.name == name) {
        Some(known) => *known = migration,
        None => migrations.push(migration),
    }
    Ok(name)
}

async fn context(client: Option<&Client>, settings: &Settings) -> Result<Context, CannotRun> {
    let readers = match client {
        Some(client) => rowhouse_lint::readers(client).await?,
        None => Vec::new(),
    };
    Ok(Context { exposed: settings.get::<RestSettings>().schemas.clone(), readers })
}

/// Whether pending files may run.
pub(in crate::command) enum Verdict {
    /// They may; what the ledger keeps.
    Run(Linted),
    /// They have errors, and this is production.
    Refused(CommandOutcome),
}

/// What lint says of the files that are pending.
pub(super) struct Pending {
    report: Report,
    /// Before the first migration nothing is in use that could be locked or read.
    is_first: bool,
}

impl Pending {
    pub(super) async fn judge(
        client: &Client,
        settings: &Settings,
        migrations: &[Migration],
    ) -> Result<Self, CannotRun> {
        let plan = migrate::plan(client, &platform::migrations(), migrations).await?;
        let pending = plan.project.iter().filter(|planned| !planned.applied);
        let pending: Vec<String> = pending.map(|planned| planned.name.clone()).collect();
        let context = context(Some(client), settings).await?;
        let report = rowhouse_lint::lint(migrations, Judged::Together(&pending), &context);
        Ok(Self { report, is_first: pending.len() == plan.project.len() })
    }

    /// Whether `migrate up` would refuse them in production.
    pub(super) fn is_refused(&self) -> bool {
        !self.report.passes() && !self.is_first
    }

    /// As `migrate lint` prints it.
    pub(super) fn outcome(&self) -> CommandOutcome {
        outcome(&self.report, true)
    }
}

/// Judges the files that are pending: in development findings are printed and refuse nothing.
pub(in crate::command) async fn before_run(
    client: &Client,
    settings: &Settings,
    migrations: &[Migration],
    no_lint: bool,
) -> Result<Verdict, CannotRun> {
    if no_lint {
        return Ok(Verdict::Run(Linted::Skipped));
    }
    let pending = Pending::judge(client, settings, migrations).await?;
    if pending.is_refused() && settings.is_production() {
        let mut refused = pending.outcome();
        refused.text.push_str("\nnothing was applied: correct the files, waive a finding with its reason, or run it with --no-lint");
        return Ok(Verdict::Refused(refused));
    }
    for finding in &pending.report.findings {
        tracing::warn!("{}", shown(finding));
    }
    Ok(Verdict::Run(if pending.report.passes() { Linted::Passed } else { Linted::Failed }))
}

fn outcome(report: &Report, has_database: bool) -> CommandOutcome {
    let verdict = if report.passes() { "pass" } else { "fail" };
    let text: String = report
        .findings
        .iter()
        .map(|finding| {
            let Finding { remedy, page, .. } = finding;
            format!("{}\n  remedy: {remedy}\n  page: {page}\n", shown(finding))
        })
        .collect();
    let counts = format!(
        "{verdict}: {} files, {} errors, {} warnings, {} waived",
        report.files,
        report.count(Severity::Error),
        report.count(Severity::Warning),
        report.waived.len()
    );
    let mut json = json!({ "verdict": verdict, "database": has_database });
    if let (Value::Object(all), Ok(Value::Object(found))) = (&mut json, serde_json::to_value(report)) {
        all.extend(found);
    }
    CommandOutcome { yes: report.passes(), json, text: text + &counts }
}

fn shown(finding: &Finding) -> String {
    let Finding { file, line, column, severity, rule, message, .. } = finding;
    format!("migrations/{file}:{line}:{column}: {} {rule}: {message}", severity.as_str())
}
