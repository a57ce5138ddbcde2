//! After `migrate up`: the smoke queries, and how to go back when one fails.

use rowhouse_db::migrate::{self, Migration, RestorePoint, Smoke, Step};
use rowhouse_module::{CannotRun, CommandOutcome};
use serde_json::{Value, json};
use tokio_postgres::Client;

/// Adds what came of them to the run's outcome; exit code 1 if one failed.
pub(super) async fn after(
    client: &Client,
    migrations: &[Migration],
    steps: &[Step],
    point: Option<&RestorePoint>,
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
        outcome.text.push_str(&format!("\n{}", way_back(&names, point)));
    }
    if let Value::Object(all) = &mut outcome.json {
        all.insert("smoke".to_owned(), json!(smokes));
        all.insert("restore_point".to_owned(), json!(point));
    }
    Ok(outcome)
}

fn way_back(names: &[String], point: Option<&RestorePoint>) -> String {
    let down =
        format!("the run is marked as failed; to go back: rowhouse migrate down --steps {}", names.len());
    match point {
        Some(point) => {
            format!("{down}; where there is no way back, restore a backup to the point {}", point.name)
        }
        None => format!("{down}; no restore point was named: the login may not, or wal_level is minimal"),
    }
}
