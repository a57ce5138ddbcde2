//! Backups at length, by a binary that is given: restores to random times under load, kills of backups in the making, damage in the
//! store, and what a backup, a drill and the receiver cost. Leaves each part to a file.

mod cost;
mod damage;
mod kill;
mod program;
mod time_travel;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rowhouse_kernel::{Rng, SeededRng};
use serde_json::{Value, json};

use super::evidence::Evidence;

/// What the product promises.
const RESTORES: u32 = 20;
const KILLS: u32 = 100;
const DAMAGES: u32 = 100;
const GIB: f64 = 2.0;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// The program; `target/release/rowhouse` without one.
    pub(crate) binary: Option<PathBuf>,
    /// Size of the cluster whose backup and drill are measured.
    pub(crate) gib: Option<f64>,
}

/// How much, from `--rounds`.
struct Size {
    restores: u32,
    kills: u32,
    damages: u32,
    gib: f64,
}

/// True if everything held.
pub(super) fn run(root: &Path, wish: &Wish, rounds: Option<u32>, seed: u64) -> Result<bool> {
    let binary = wish.binary.clone().unwrap_or_else(|| root.join("target/release/rowhouse"));
    let binary = binary.canonicalize().with_context(|| {
        format!("{}: build it with `cargo build --release`, or name one by --binary", binary.display())
    })?;
    ensure!(binary.is_file(), "{} is not a program", binary.display());
    let size = Size {
        restores: rounds.unwrap_or(RESTORES),
        kills: rounds.unwrap_or(KILLS),
        damages: rounds.unwrap_or(DAMAGES),
        gib: wish.gib.unwrap_or(GIB),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let figures = runtime.block_on(parts(&binary, &size, seed))?;
    let holds = figures.as_object().is_some_and(|parts| parts.values().all(|part| part["holds"] == true));
    let parameters = json!({
        "restores": size.restores, "kills": size.kills, "damages": size.damages, "gib": size.gib, "seed": seed,
        "binary_profile": if binary.display().to_string().contains("release") { "release" } else { "other" },
    });
    Evidence { name: "backups", only: "backups", parameters, holds, figures }.write(root)?;
    Ok(holds)
}

async fn parts(binary: &Path, size: &Size, seed: u64) -> Result<Value> {
    let random = Random(SeededRng::new(seed));
    let times = time_travel::run(binary, size.restores, &random).await?;
    let kills = kill::run(binary, size.kills, &random).await?;
    let damage = damage::run(binary, size.damages, &random).await?;
    let cost = cost::run(binary, size.gib).await?;
    Ok(json!({ "restores": times, "kills": kills, "damage": damage, "cost": cost }))
}

/// Random numbers by a seed.
struct Random(std::sync::Arc<SeededRng>);

impl Random {
    /// Below `limit`, which is at least 1.
    fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit.max(1)
    }
}
