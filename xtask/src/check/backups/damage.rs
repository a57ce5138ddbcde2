//! Flipped bits and truncations in random places of the store: `backup verify` finds each.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Random;
use super::program::Project;

const FILL: &str = "create table load as select g, md5(g::text) from generate_series(1, 200000) g";

pub(super) async fn run(binary: &Path, rounds: u32, random: &Random) -> Result<Value> {
    let mut project = Project::start(binary).await?;
    project.connect().await?.batch_execute(FILL).await?;
    for _ in 0..2 {
        project.ask(&["backup", "create", "--json"])?;
    }
    project.ask(&["backup", "verify", "--json"])?;
    // Nothing else writes into the store from here on.
    project.stop();
    let mut files = Vec::new();
    let store = project.folder.path().join(".rowhouse/backups");
    list(&store, &mut files)?;
    files.sort();
    ensure!(!files.is_empty(), "the store is empty");
    let mut missed = Vec::new();
    for round in 1..=rounds {
        let file = &files[usize::try_from(random.below(files.len() as u64))?];
        let former = std::fs::read(file)?;
        let (damaged, how) = damage(&former, random)?;
        std::fs::write(file, damaged)?;
        let verified = project.run(&["backup", "verify", "--json"])?;
        std::fs::write(file, former)?;
        let shown = file.strip_prefix(&store)?.display().to_string();
        eprintln!(
            "backups: damage {round} of {rounds}: {how} in {shown}: exit code {:?}",
            verified.status.code()
        );
        if verified.status.code() != Some(1) {
            missed.push(json!({ "file": shown, "how": how, "exit_code": verified.status.code() }));
        }
    }
    let sound = project.run(&["backup", "verify"])?.status.success();
    Ok(
        json!({ "holds": missed.is_empty() && sound, "damages": rounds, "files": files.len(), "missed": missed, "sound_without": sound }),
    )
}

/// A flipped bit, or in one of three cases a shorter file.
fn damage(former: &[u8], random: &Random) -> Result<(Vec<u8>, String)> {
    let place = usize::try_from(random.below(former.len() as u64))?;
    if random.below(3) == 0 {
        return Ok((former[..place].to_vec(), format!("cut at {place} of {}", former.len())));
    }
    let (bit, mut damaged) = (random.below(8), former.to_vec());
    if let Some(byte) = damaged.get_mut(place) {
        *byte ^= 1 << bit;
    }
    Ok((damaged, format!("bit {bit} of byte {place}")))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => list(&entry.path(), files)?,
            false if entry.metadata()?.len() > 0 => files.push(entry.path()),
            false => {}
        }
    }
    Ok(())
}
