//! kill -9 of `backup create` at random moments: what lists as good afterwards can be restored.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Random;
use super::program::Project;

/// Rows that make a backup take a moment.
const FILL: &str = "create table load as select g, md5(g::text) from generate_series(1, 1000000) g";

pub(super) async fn run(binary: &Path, rounds: u32, random: &Random) -> Result<Value> {
    let project = Project::start(binary).await?;
    project.connect().await?.batch_execute(FILL).await?;
    let begun = Instant::now();
    project.ask(&["backup", "create", "--json"])?;
    let whole = u64::try_from(begun.elapsed().as_millis())?;
    let mut known = good(&project)?;
    let (mut finished, mut wrong) = (0, Vec::new());
    for round in 1..=rounds {
        // Also shortly after its usual end.
        let pause = Duration::from_millis(random.below(whole + whole / 5));
        kill_after(&project, pause).await?;
        let now = good(&project)?;
        for id in now.iter().filter(|id| !known.contains(id)) {
            finished += 1;
            if let Err(error) = project.restore(&[id.as_str()]) {
                wrong.push(json!({ "backup": id, "why": format!("{error:#}") }));
            }
        }
        eprintln!(
            "backups: kill {round} of {rounds} after {pause:?}: {} good, {} wrong",
            now.len(),
            wrong.len()
        );
        known = now;
    }
    let made = project.ask(&["backup", "create", "--json"])?;
    let last = project.restore(&[made["id"].as_str().context("id")?]).map(drop);
    if let Err(error) = &last {
        wrong.push(json!({ "backup": made["id"], "why": format!("{error:#}") }));
    }
    let verified = project.run(&["backup", "verify"])?.status.success();
    Ok(json!({
        "holds": wrong.is_empty() && verified, "kills": rounds, "finished_before_the_kill": finished,
        "whole_ms": whole, "verified": verified, "wrong": wrong,
    }))
}

async fn kill_after(project: &Project, pause: Duration) -> Result<()> {
    let mut command = project.command(&["backup", "create"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    tokio::time::sleep(pause).await;
    let _gone_already = child.kill();
    child.wait()?;
    Ok(())
}

fn good(project: &Project) -> Result<Vec<String>> {
    let listed = project.ask(&["backup", "list", "--json"])?;
    let backups = listed["backups"].as_array().context("backups")?.iter();
    Ok(backups
        .filter(|one| one["status"] == "good")
        .filter_map(|one| Some(one["id"].as_str()?.to_owned()))
        .collect())
}
