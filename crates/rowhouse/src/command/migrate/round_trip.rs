//! `migrate roundtrip`: files and their ways back, tried beside the project's database.

use std::sync::atomic::AtomicBool;

use rowhouse_db::migrate::{self, FileTrip, Migration, TripOutcome};
use rowhouse_module::{CannotRun, CommandOutcome, Project};
use serde_json::json;

use super::scratch::{self, Content, Rows};
use super::{connect_project, read_files};
use crate::cli::RoundtripArgs;
use crate::platform;

/// Exit code 1 if a way back is missing, fails, or leads elsewhere.
pub(super) async fn run(
    project: &Project,
    args: &RoundtripArgs,
    interrupted: &AtomicBool,
) -> Result<CommandOutcome, CannotRun> {
    let migrations = read_files(project)?;
    let first = if args.all { 0 } else { first_tried(project, &migrations).await? };
    let (base, files) = migrations.split_at(first);
    let rows = args.data.as_deref().map_or(Rows::Seed, Rows::File);
    let content = Content { base, tried: files, rows };
    let folder = project.migrations();
    let trips = scratch::with(project, content, interrupted, async |_, client| {
        Ok(migrate::round_trip(client, &folder, files).await?)
    })
    .await?;
    let holds = trips.iter().all(FileTrip::holds);
    let verdict = if holds { "pass" } else { "fail" };
    let text: String = trips.iter().map(shown).collect();
    let json = json!({ "verdict": verdict, "files": trips });
    Ok(CommandOutcome { yes: holds, json, text: format!("{text}{verdict}") })
}

/// The first that is pending, else the newest.
pub(super) async fn first_tried(project: &Project, migrations: &[Migration]) -> Result<usize, CannotRun> {
    let client = connect_project(project).await?;
    let plan = migrate::plan(&client, &platform::migrations(), migrations).await?;
    let pending = plan.project.iter().position(|planned| !planned.applied);
    Ok(pending.unwrap_or_else(|| migrations.len().saturating_sub(1)))
}

fn shown(trip: &FileTrip) -> String {
    let what = match trip.outcome {
        TripOutcome::Same => "same        ",
        TripOutcome::OneWay => "one way     ",
        TripOutcome::NoWayBack => "NO WAY BACK ",
        TripOutcome::Differs => "DIFFERS     ",
        TripOutcome::Failed => "FAILED      ",
        TripOutcome::NotTried => "not tried   ",
    };
    let [up, back] = trip.millis;
    let objects = trip.differences.iter().map(|d| format!("  {} {}\n", d.object, d.change.as_str()));
    let rows = trip.rows.iter().map(|table| format!("  rows of {table} are different\n"));
    let error = trip.error.iter().flat_map(|error| error.lines()).map(|line| format!("  {line}\n"));
    let remedy = match trip.outcome {
        TripOutcome::NoWayBack => "  write its .down.sql, or let its head say `-- rowhouse: reversible no`\n",
        _ => "",
    };
    let details: String = objects.chain(rows).chain(error).collect();
    format!("{what}{} (up {up} ms, back {back} ms)\n{details}{remedy}", trip.name)
}
