//! Around `migrate up`: what there is to go back to, the smoke queries, and how to go back when one fails.

use rowhouse_backup::{Wayback, before_migration};
use rowhouse_db::migrate::{self, Migration, RestorePoint, Smoke, Step};
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::{Value, json};
use tokio_postgres::Client;

/// What there is to go back to.
pub(super) struct Way {
    point: Option<RestorePoint>,
    backup: Wayback,
}

impl Way {
    /// Names the moment before the migration `first`, and makes a dump where the settings want one.
    pub(super) async fn prepare(
        project: &Project,
        settings: &Settings,
        client: &Client,
        first: &str,
    ) -> Result<Self, CannotRun> {
        let (clock, rng) = (crate::command::clock(), crate::command::rng());
        let backup = before_migration(settings, project, &super::project_url(project)?, &clock, &rng).await?;
        if backup == Wayback::None && settings.is_production() {
            tracing::warn!(
                "there is no backup to go back to: no write-ahead log is kept (rowhouse backup create), and no dump is \
                 made (backup.before_migration)"
            );
        }
        Ok(Self { point: migrate::restore_point(client, first).await?, backup })
    }
}

/// Adds what came of them to the run's outcome; exit code 1 if one failed.
pub(super) async fn after(
    client: &Client,
    migrations: &[Migration],
    steps: &[Step],
    way: Option<&Way>,
    mut outcome: CommandOutcome,
) -> Result<CommandOutcome, CannotRun> {
    let is_project = |step: &&Step| migrations.iter().any(|migration| migration.name == step.name);
    let names: Vec<String> = steps.iter().filter(is_project).map(|step| step.name.clone()).collect();
    if names.is_empty() {
        return Ok(outcome);
    }
    let smokes = migrate::smoke(client, migrations).await?;
    let failed: Vec<&Smoke> = smokes.iter().filter(|smoke| smoke.error.is_some()).collect();
    if !smokes.is_empty() {
        migrate::record_smoke(client, &names, failed.is_empty()).await?;
    }
    for smoke in &failed {
        let Smoke { migration, line, sql, error } = smoke;
        let error = error.as_deref().unwrap_or_default();
        outcome.text.push_str(&format!("\nsmoke query of {migration}:{line} failed: {sql}: {error}"));
    }
    if !failed.is_empty() {
        outcome.yes = false;
        outcome.text.push_str(&format!("\n{}", way_back(&names, way)));
    }
    if let Value::Object(all) = &mut outcome.json {
        all.insert("smoke".to_owned(), json!(smokes));
        all.insert("restore_point".to_owned(), json!(way.and_then(|way| way.point.as_ref())));
        let backup = way.and_then(|way| way.backup.dump());
        all.insert("backup".to_owned(), json!(backup));
    }
    Ok(outcome)
}

fn way_back(names: &[String], way: Option<&Way>) -> String {
    let down =
        format!("the run is marked as failed; to go back: rowhouse migrate down --steps {}", names.len());
    let Some(Way { point, backup }) = way else { return down };
    let restore = match (backup, point) {
        (Wayback::Dump(id), _) => format!("rowhouse backup restore {id} --into DIR"),
        (Wayback::Log, Some(point)) => format!("rowhouse backup restore --lsn {} --into DIR", point.lsn),
        (Wayback::Log, None) => "rowhouse backup restore --at TIME --into DIR".to_owned(),
        (Wayback::None, _) => return format!("{down}; there is no backup of the time before"),
    };
    format!("{down}; where that has no way back: {restore}")
}
