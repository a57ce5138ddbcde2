//! Other queues on the same server: `xtask/peers/jobs` holds their packages and how each is driven.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Effort;
use super::database::Database;
use super::report::Figure;

const FOLDER: &str = "xtask/peers/jobs";

/// Another queue: the script that drives it, and its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    name: &'static str,
    script: &'static str,
    argument: &'static str,
    /// Divisor of the number of jobs: slow queues are measured with fewer.
    divisor: u32,
}

const ALL: [Peer; 5] = [
    Peer { name: "graphile-worker", script: "graphile.mjs", argument: "batched", divisor: 1 },
    Peer { name: "graphile-worker, as it comes", script: "graphile.mjs", argument: "default", divisor: 20 },
    Peer { name: "pg-boss", script: "pg-boss.mjs", argument: "", divisor: 2 },
    Peer {
        name: "BullMQ, Redis flushing every second",
        script: "bullmq.mjs",
        argument: "everysec",
        divisor: 8,
    },
    Peer { name: "BullMQ, Redis flushing every write", script: "bullmq.mjs", argument: "always", divisor: 8 },
];

/// One run of a peer, in jobs a second.
#[derive(Debug, Clone, Copy)]
struct Run {
    drained: f64,
    enqueued: f64,
}

/// The peers' runs.
#[derive(Default)]
pub(crate) struct Peers(Vec<(Peer, Vec<Run>, Option<String>)>);

/// Installs the packages; all peers.
pub(crate) fn install(root: &Path) -> Result<Vec<Peer>> {
    // Not `npm ci`, which requires every platform's native packages in the lock file; not every registry has them.
    let status = Command::new("npm")
        .args(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(root.join(FOLDER))
        .status()
        .context("npm")?;
    anyhow::ensure!(status.success(), "the packages of {FOLDER} could not be installed");
    Ok(ALL.to_vec())
}

/// Enqueues and drains once.
pub(crate) async fn run(root: &Path, database: &Database, peer: Peer, effort: &Effort) -> Result<Value> {
    let client = database.client().await?;
    client.batch_execute("drop database if exists peers with (force)").await?;
    client.batch_execute("create database peers").await?;
    client.batch_execute("checkpoint").await?;
    let folder = root.join(FOLDER);
    let output = Command::new(folder.join("node_modules/.bin/node"))
        .args([peer.script, &(effort.jobs / peer.divisor).to_string(), peer.argument])
        .envs(database.variables("peers"))
        .current_dir(&folder)
        .output()
        .context("node")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}", errors.trim().lines().last().unwrap_or("it failed"));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).context("what it says")
}

impl Peers {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Records a run; a failed one counts as missing, not as slow.
    pub(crate) fn add(&mut self, peer: &Peer, outcome: Result<Value>) {
        let run = outcome.and_then(|said| {
            let rate = |name: &str| said[name].as_f64().with_context(|| format!("no {name}"));
            Ok(Run { drained: rate("drained_per_second")?, enqueued: rate("enqueued_per_second")? })
        });
        let place = self.0.iter().position(|(known, ..)| known == peer).unwrap_or_else(|| {
            self.0.push((*peer, Vec::new(), None));
            self.0.len() - 1
        });
        let (_, runs, missing) = &mut self.0[place];
        match run {
            Ok(run) => {
                eprintln!("{}: {:.0} jobs/s, enqueued {:.0}/s", peer.name, run.drained, run.enqueued);
                runs.push(run);
            }
            Err(error) => {
                eprintln!("{}: {error:#}", peer.name);
                *missing = Some(format!("{error:#}"));
            }
        }
    }

    /// Jobs a second of the fastest.
    pub(crate) fn best(&self) -> Option<f64> {
        self.0.iter().filter_map(|(_, runs, _)| drained(runs)).max_by(f64::total_cmp)
    }

    pub(crate) fn all_ran(&self) -> bool {
        self.0.iter().all(|(_, _, missing)| missing.is_none())
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        self.0
            .iter()
            .map(|(peer, runs, missing)| {
                let enqueued: Vec<f64> = runs.iter().map(|run| run.enqueued).collect();
                json!({
                    "peer": peer.name,
                    "drained_per_second": drained(runs).map(f64::round),
                    "enqueued_per_second": Figure::median(&enqueued).map(f64::round),
                    "missing": missing,
                })
            })
            .collect()
    }
}

fn drained(runs: &[Run]) -> Option<f64> {
    Figure::median(&runs.iter().map(|run| run.drained).collect::<Vec<_>>())
}
