//! What backups cost: a base backup beside `pg_basebackup`, a drill, what a loss would lose, and the receiver at rest.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rowhouse_db::embedded::{find_binaries, find_program};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::program::{Project, folder};

/// What is promised.
const MOST_BACKUP_RATIO: f64 = 1.3;
const MOST_DRILL_SECONDS: f64 = 60.0;
const MOST_RPO_SECONDS: f64 = 2.0;
/// Percent of a core that a receiver at rest may take beside what the program takes without.
const MOST_IDLE_PERCENT: f64 = 1.0;
const TICKS: f64 = 100.0;
/// The drill's promise is about this size.
const DRILL_GIB: f64 = 2.0;
const ATTEMPTS: usize = 3;
const IDLE: Duration = Duration::from_secs(60);
/// Bytes of a row with its header, about.
const ROW_BYTES: f64 = 1060.0;
const GIB_BYTES: f64 = 1_073_741_824.0;

pub(super) async fn run(binary: &Path, gib: f64) -> Result<Value> {
    let project = Project::start(binary).await?;
    let client = project.connect().await?;
    let without = idle_percent(&project).await?;
    let bytes = fill(&client, gib).await?;
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for attempt in 1..=ATTEMPTS {
        own.push(timed(|| project.ask(&["backup", "create", "--json"]).map(drop))?);
        other.push(timed(|| pg_basebackup(&project))?);
        eprintln!(
            "backups: base backup {attempt} of {ATTEMPTS}: {:.1} s, pg_basebackup {:.1} s",
            own[attempt - 1],
            other[attempt - 1]
        );
    }
    let ratio = least(&own) / least(&other);
    let with = idle_percent(&project).await?;
    let idle = (with - without).max(0.0);
    eprintln!("backups: at rest {with:.2} % of a core, {without:.2} % without a receiver");
    let report = drill_under_load(&project).await?;
    let drill = report["rto_seconds"].as_f64().context("rto_seconds")?;
    let rpo = report["rpo_seconds"].as_f64();
    eprintln!("backups: drill of {gib:.2} GiB: {drill:.1} s, lost: {rpo:?} s");
    let holds = ratio <= MOST_BACKUP_RATIO
        && (drill <= MOST_DRILL_SECONDS || gib > DRILL_GIB)
        && report["is_good"] == true
        && rpo.is_some_and(|rpo| rpo <= MOST_RPO_SECONDS)
        && idle <= MOST_IDLE_PERCENT;
    Ok(json!({
        "holds": holds, "cluster_bytes": bytes, "base_backup_seconds": own, "pg_basebackup_seconds": other,
        "base_backup_ratio": ratio, "drill_seconds": drill, "drill": report, "rpo_seconds": rpo,
        "receiver_idle_percent": idle, "idle_percent": { "with": with, "without": without },
    }))
}

/// Rows that compress about as well as text does.
async fn fill(client: &Client, gib: f64) -> Result<i64> {
    client.batch_execute("create table load (n bigint primary key, filler text)").await?;
    #[expect(clippy::cast_possible_truncation, reason = "some millions")]
    let rows = (gib * GIB_BYTES / ROW_BYTES) as i64;
    let sql = "insert into load select g, md5(g::text) || repeat(md5((g * 7)::text), 4) || (select string_agg(md5((g * 31 + h)::text), ' ') \
               from generate_series(1, 25) h) from generate_series(1, $1::bigint) g";
    client.execute(sql, &[&rows]).await?;
    // Each by itself: several at once are one transaction, in which there is no vacuum.
    client.batch_execute("vacuum analyze load").await?;
    client.batch_execute("checkpoint").await?;
    let row = client.query_one("select sum(pg_database_size(oid))::bigint from pg_database", &[]).await?;
    Ok(row.try_get(0)?)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed().as_secs_f64())
}

fn least(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The same bytes with the same compression (zstd, level 1, by the client), without the log.
fn pg_basebackup(project: &Project) -> Result<()> {
    let version = find_binaries().map_err(|error| anyhow::anyhow!("{error}"))?.version;
    let program = find_program(version, "pg_basebackup").context("pg_basebackup is not installed")?;
    let (into, state) = (folder()?, project.state()?);
    let url = state["db_url"].as_str().context("db_url")?;
    let mut command = Command::new(program);
    command.args(["--dbname", url, "--format=tar", "--compress=client-zstd:1", "--wal-method=none"]);
    command.args(["--checkpoint=fast", "--no-sync", "--pgdata"]).arg(into.path().join("base"));
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Percent of a core that the program takes while nothing is asked of it.
async fn idle_percent(project: &Project) -> Result<f64> {
    let pid = project.state()?["pid"].as_u64().context("pid")?;
    let (before, begun) = (cpu_seconds(pid)?, Instant::now());
    tokio::time::sleep(IDLE).await;
    Ok(100.0 * (cpu_seconds(pid)? - before) / begun.elapsed().as_secs_f64())
}

/// User and system time (proc_pid_stat(5), fields 14 and 15). Linux shows 100 ticks per second.
fn cpu_seconds(pid: u64) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold anything; what follows starts with field 3.
    let fields = text.rsplit_once(") ").context("stat")?.1.split_whitespace();
    let ticks: Result<Vec<u32>, _> = fields.skip(11).take(2).map(str::parse).collect();
    Ok(ticks?.into_iter().map(f64::from).sum::<f64>() / TICKS)
}

/// A drill while rows are written: only then is there something to lose.
async fn drill_under_load(project: &Project) -> Result<Value> {
    let client = project.connect().await?;
    client.batch_execute("create table trickle (n bigint, at timestamptz)").await?;
    let writing = tokio::spawn(async move {
        let sql = "insert into trickle values (1, clock_timestamp())";
        while client.execute(sql, &[]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let mut command = tokio::process::Command::from(project.command(&["drill", "run", "--json"]));
    let output = command.output().await?;
    writing.abort();
    ensure!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
