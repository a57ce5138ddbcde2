//! Tries each file and its way back in a database of its own: up, down and up again, and what is different afterwards.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use tokio_postgres::Client;

use super::ledger::{MigrationKind, RunNote};
use super::object::{self, Objects, SchemaDrift};
use super::run::{self, Direction};
use super::source::read_down;
use super::{MigrateError, Migration, exclusive};
use crate::error::DbError;
use crate::session::SET_SEARCH_PATH;

/// What came of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TripOutcome {
    /// Its way back leads to where it began, and it can be applied again.
    Same,
    /// It says that there is no way back, and there is none.
    OneWay,
    /// It does not say so, and there is none.
    NoWayBack,
    /// Something is different afterwards.
    Differs,
    /// A statement failed.
    Failed,
    /// One before it failed.
    NotTried,
}

/// A file, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileTrip {
    /// File name without folder.
    pub name: String,
    /// What came of it.
    pub outcome: TripOutcome,
    /// Objects that are different from before.
    pub differences: Vec<SchemaDrift>,
    /// Tables whose rows are different from before.
    pub rows: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// How long it took: up, and back.
    pub millis: [u64; 2],
}

impl FileTrip {
    fn new(name: &str, outcome: TripOutcome) -> Self {
        let (differences, rows) = (Vec::new(), Vec::new());
        Self { name: name.to_owned(), outcome, differences, rows, error: None, millis: [0; 2] }
    }

    /// Whether it may be released like that.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.outcome, TripOutcome::Same | TripOutcome::OneWay)
    }
}

/// Schema and rows at one moment.
struct Moment {
    objects: Objects,
    /// Rows of each table: number, and a sum of hashes that does not depend on their order.
    rows: BTreeMap<String, String>,
}

impl Moment {
    async fn now(client: &Client) -> Result<Self, DbError> {
        client.batch_execute(SET_SEARCH_PATH).await?;
        Ok(Self { objects: object::current(client).await?, rows: rows(client).await? })
    }
}

/// Tries `files` in order. `client` is connected to a database that nobody else uses, with everything before them applied.
///
/// # Errors
/// The database's; a failing file is a result.
pub async fn round_trip(
    client: &Client,
    folder: &Path,
    files: &[Migration],
) -> Result<Vec<FileTrip>, MigrateError> {
    exclusive(client, async || {
        let mut trips: Vec<FileTrip> = Vec::new();
        for file in files {
            let has_failed = trips.iter().any(|trip| trip.outcome == TripOutcome::Failed);
            trips.push(match has_failed {
                true => FileTrip::new(&file.name, TripOutcome::NotTried),
                false => one(client, folder, file).await?,
            });
        }
        Ok(trips)
    })
    .await
}

async fn one(client: &Client, folder: &Path, file: &Migration) -> Result<FileTrip, MigrateError> {
    let back = read_down(folder, &file.name).map_err(|error| MigrateError::Unreadable(error.to_string()))?;
    let back = back.filter(|back| !super::script::split(&back.sql).is_empty());
    let mut trip = FileTrip::new(&file.name, TripOutcome::Same);
    let before = Moment::now(client).await?;
    trip.millis[0] = match step(client, Direction::Up, file).await {
        Ok(millis) => millis,
        Err(error) => return failed(trip, error),
    };
    let Some(back) = back else {
        trip.outcome = match file.reversible() {
            Some(false) => TripOutcome::OneWay,
            _ => TripOutcome::NoWayBack,
        };
        return Ok(trip);
    };
    let up = Moment::now(client).await?;
    trip.millis[1] = match step(client, Direction::Down, &back).await {
        Ok(millis) => millis,
        Err(error) => return failed(trip, error),
    };
    trip.compare(&before, &Moment::now(client).await?);
    match step(client, Direction::Up, file).await {
        Ok(_) => trip.compare_objects(&up.objects, &Moment::now(client).await?.objects),
        Err(error) => return failed(trip, error),
    }
    Ok(trip)
}

impl FileTrip {
    fn compare(&mut self, before: &Moment, after: &Moment) {
        self.compare_objects(&before.objects, &after.objects);
        let differs =
            |(table, rows): &(&String, &String)| after.rows.get(*table).is_some_and(|now| now != *rows);
        self.rows = before.rows.iter().filter(differs).map(|(table, _)| table.clone()).collect();
        if !self.rows.is_empty() {
            self.outcome = TripOutcome::Differs;
        }
    }

    fn compare_objects(&mut self, before: &Objects, after: &Objects) {
        self.differences.extend(object::compare(before, after));
        if !self.differences.is_empty() {
            self.outcome = TripOutcome::Differs;
        }
    }
}

/// What PostgreSQL refused is the result; anything else is none.
fn failed(mut trip: FileTrip, error: MigrateError) -> Result<FileTrip, MigrateError> {
    match error {
        MigrateError::Failed(_) | MigrateError::Unrunnable { .. } => {
            trip.outcome = TripOutcome::Failed;
            trip.error = Some(error.to_string());
            Ok(trip)
        }
        other => Err(other),
    }
}

async fn step(client: &Client, direction: Direction, file: &Migration) -> Result<u64, MigrateError> {
    let started = Instant::now();
    file.check()?;
    let kind = MigrationKind::Project;
    run::all(client, kind, direction, std::iter::once(file), &RunNote::default()).await?;
    Ok(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// The rows of the project's tables, as the role that sees all of them.
async fn rows(client: &Client) -> Result<BTreeMap<String, String>, DbError> {
    client.batch_execute(&format!("set role {}", MigrationKind::Project.role())).await?;
    let mut all = BTreeMap::new();
    for row in client.query(include_str!("../../sql/project_tables.sql"), &[]).await? {
        let table: String = row.get(0);
        let sum = format!(
            "select concat(count(*), ' ', sum(hashtextextended(t::text, 0)::numeric)) from only {table} t"
        );
        all.insert(table, client.query_one(&sum, &[]).await?.get(0));
    }
    client.batch_execute("reset role").await?;
    Ok(all)
}
