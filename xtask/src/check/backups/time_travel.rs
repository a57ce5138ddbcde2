//! Restores to random times while rows are written: what a restored cluster has is what was committed by then.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Random;
use super::program::Project;

/// How long rows are written.
const WRITING: Duration = Duration::from_secs(30);
/// Between the backup and the first time that is asked for.
const MICROS: u64 = 1_000_000;

/// When a row's transaction was surely not committed yet, and when it surely was, in microseconds since 1970.
#[derive(Clone, Copy)]
struct Commit {
    before: i64,
    after: i64,
}

pub(super) async fn run(binary: &Path, rounds: u32, random: &Random) -> Result<Value> {
    let project = Project::start(binary).await?;
    let client = project.connect().await?;
    client
        .batch_execute("create table marks (n bigint primary key); create table load (filler text)")
        .await?;
    project.ask(&["backup", "create", "--json"])?;
    let commits = write(&project).await?;
    let (first, last) = (commits.first().context("no row")?.after, commits.last().context("no row")?.after);
    let mut wrong = Vec::new();
    for round in 1..=rounds {
        let span = u64::try_from(last - first)?;
        let at = first + i64::try_from(random.below(span))?;
        let restored = project.restore(&["--at", &moment(&client, at).await?])?;
        let found = marks(&Project::of(binary, restored).await?).await?;
        let least = commits.iter().filter(|commit| commit.after < at).count();
        let most = commits.iter().filter(|commit| commit.before <= at).count();
        let is_exact = (least..=most).contains(&usize::try_from(found)?);
        eprintln!("backups: restore {round} of {rounds}: {found} rows, expected {least} to {most}");
        if !is_exact {
            wrong.push(json!({ "at": at, "found": found, "least": least, "most": most }));
        }
    }
    let seconds = (last - first).unsigned_abs() / MICROS;
    Ok(
        json!({ "holds": wrong.is_empty(), "restores": rounds, "rows": commits.len(), "written_seconds": seconds, "wrong": wrong }),
    )
}

/// One connection writes the rows in question, another one much else.
async fn write(project: &Project) -> Result<Vec<Commit>> {
    let (marking, loading) = (project.connect().await?, project.connect().await?);
    let commits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&commits);
    let marks = async move {
        for n in 0_i64.. {
            let before = clock(&marking).await?;
            marking.execute("insert into marks values ($1)", &[&n]).await?;
            let after = clock(&marking).await?;
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(Commit { before, after });
        }
        Ok::<_, tokio_postgres::Error>(())
    };
    let load = async move {
        let sql = "insert into load select repeat(md5(g::text), 20) from generate_series(1, 200) g";
        for _ in 0_u64.. {
            loading.execute(sql, &[]).await?;
        }
        Ok::<_, tokio_postgres::Error>(())
    };
    tokio::select! {
        ended = marks => ended?,
        ended = load => ended?,
        () = tokio::time::sleep(WRITING) => {}
    }
    let commits = commits.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(commits.len() > 10, "only {} rows were written", commits.len());
    Ok(commits)
}

async fn clock(client: &Client) -> Result<i64, tokio_postgres::Error> {
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    client.query_one(sql, &[]).await?.try_get(0)
}

async fn moment(client: &Client, micros: i64) -> Result<String> {
    let sql = "select to_char((timestamptz 'epoch' + $1::bigint * interval '1 microsecond') at time zone 'UTC', \
               'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    Ok(client.query_one(sql, &[&micros]).await?.try_get(0)?)
}

/// Rows from the first on without a gap; one that is missing in between is an error.
async fn marks(project: &Project) -> Result<i64> {
    let row = project
        .connect()
        .await?
        .query_one("select count(*), coalesce(max(n) + 1, 0) from marks", &[])
        .await?;
    let (count, next): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    ensure!(count == next, "{count} rows up to number {next}");
    Ok(count)
}
