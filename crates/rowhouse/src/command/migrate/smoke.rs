//! Around `migrate up`: what there is to go back to, secured before; the smoke queries after, and the commands that go back when
//! one fails.

use rowhouse_backup::{Wayback, before_migration};
use rowhouse_db::connect;
use rowhouse_db::migrate::{self, DownTarget, Migration, RestorePoint, Smoke, Step};
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::{owner_url, project_url};
use crate::command::{clock, rng};

/// What there is to go back to.
pub(super) struct Before {
    point: Option<RestorePoint>,
    way: Wayback,
}

impl Before {
    /// Of a run that applies nothing.
    pub(super) const NOTHING: Self = Self { point: None, way: Wayback::None };

    /// Names a restore point, over a connection that may (under `up` the embedded server's superuser), and makes a dump where
    /// the settings want one.
    pub(super) async fn secure(
        project: &Project,
        settings: &Settings,
        first: &str,
    ) -> Result<Self, CannotRun> {
        let way = before_migration(settings, project, &project_url(project)?, &clock(), &rng()).await?;
        let owner = connect(&owner_url(project)?).await?;
        let point = migrate::restore_point(&owner, first).await?;
        if way == Wayback::None && settings.is_production() {
            tracing::warn!(
                "there is no backup to go back to: no write-ahead log is kept (rowhouse backup create), and no dump is \
                 made (backup.before_migration)"
            );
        }
        Ok(Self { point, way })
    }

    /// A command. A point that PostgreSQL has named is not one of the store's, so a restore goes by its position.
    fn restore(&self) -> Option<String> {
        match (&self.way, &self.point) {
            (Wayback::Dump(id), _) => Some(format!("rowhouse backup restore {id} --into DIR")),
            (Wayback::Log, Some(point)) => {
                Some(format!("rowhouse backup restore --lsn {} --into DIR", point.lsn))
            }
            (Wayback::Log, None) => Some("rowhouse backup restore --at TIME --into DIR".to_owned()),
            (Wayback::None, _) => None,
        }
    }
}

/// Commands that lead back to before these migrations; none takes back a migration without a file for that.
async fn ways_back(
    project: &Project,
    client: &Client,
    (migrations, names): (&[Migration], &[String]),
    before: &Before,
) -> Vec<String> {
    let target = DownTarget::Steps(names.len());
    let has_down = !names.is_empty()
        && migrate::plan_down(client, &project.migrations(), migrations, &target).await.is_ok();
    let down = has_down.then(|| format!("rowhouse migrate down --steps {}", names.len()));
    let ways = down.into_iter().chain(before.restore());
    ways.map(|command| format!("{command}{}", project.dir_option())).collect()
}

/// Adds what came of them to the run's outcome; exit code 1 if one failed.
pub(super) async fn after(
    (project, client): (&Project, &Client),
    migrations: &[Migration],
    steps: &[Step],
    before: &Before,
    mut outcome: CommandOutcome,
) -> Result<CommandOutcome, CannotRun> {
    let is_project = |step: &&Step| migrations.iter().any(|migration| migration.name == step.name);
    let names: Vec<String> = steps.iter().filter(is_project).map(|step| step.name.clone()).collect();
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
    let ways = ways_back(project, client, (migrations, &names), before).await;
    if !failed.is_empty() {
        outcome.yes = false;
        outcome.text.push_str(&format!("\n{}", way_back(&names, &ways)));
    }
    if let Value::Object(all) = &mut outcome.json {
        all.insert("smoke".to_owned(), json!(smokes));
        all.insert("restore_point".to_owned(), json!(before.point));
        all.insert("backup".to_owned(), json!(before.way.dump()));
        all.insert("way_back".to_owned(), json!(ways));
    }
    Ok(outcome)
}

fn way_back(names: &[String], ways: &[String]) -> String {
    match (names, ways) {
        ([], _) => "this run has applied nothing; an earlier one is still marked as failed".to_owned(),
        (_, []) => "the run is marked as failed; nothing leads back: its migrations have no file for that, and there is \
                    no backup of before"
            .to_owned(),
        (_, [only]) => format!("the run is marked as failed; to go back:\n  {only}"),
        (_, ways) => format!("the run is marked as failed; to go back, by one of these:\n  {}", ways.join("\n  ")),
    }
}
