//! kill -9 of the program, of its PostgreSQL, or of both, at random moments under load. After each, without a manual
//! step, the program is healthy again and everything acknowledged is stored.

mod ledger;
mod load;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rowhouse_kernel::{Rng, SeededRng};
use serde::Serialize;

use crate::program::Program;
use load::Load;

/// The load runs this long before a kill, at random.
const BEFORE_KILL: std::ops::Range<u64> = 50..2000;
/// One start in three of a killed program is killed as well, this long after its beginning.
const DURING_START: std::ops::Range<u64> = 0..800;
/// Timeout of a recovery.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A campaign: number of kills and random seed.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The program.
    pub binary: PathBuf,
    /// A project with the example's `todos`; it is copied.
    pub project: PathBuf,
    /// Number of kills, without kills during the following start.
    pub rounds: u32,
    /// The same seed makes the same choices.
    pub seed: u64,
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Victim {
    /// The program; its PostgreSQL is orphaned.
    Rowhouse,
    /// The postmaster; the program restarts it.
    Postgres,
    /// Both at once.
    Both,
}

/// One kill and its recovery.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// From 1.
    pub number: u32,
    /// What was killed.
    pub victim: Victim,
    /// How long the load had been running undisturbed.
    pub after_ms: u64,
    /// How long the next start had been running when it was killed too.
    pub start_killed_after_ms: Option<u64>,
    /// From the last kill until `/health/ready` and `/health` succeeded.
    pub recovery_ms: u64,
    /// Rows, changes and users acknowledged so far, all of them found again.
    pub acknowledged: usize,
}

/// The result of a campaign.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CrashReport {
    /// Every round that ended well.
    pub rounds: Vec<Round>,
    /// Inserted rows that were acknowledged.
    pub acknowledged_inserts: usize,
    /// Updates that were acknowledged.
    pub acknowledged_updates: usize,
    /// Sign-ups that were acknowledged.
    pub acknowledged_sign_ups: usize,
    /// Requests that ended in 503, 504 or a lost connection.
    pub refused: usize,
    /// The slowest request of all.
    pub slowest_request_ms: u64,
    /// Acknowledged and not found again.
    pub lost: Vec<String>,
    /// Why the campaign ended early, if it did.
    pub failure: Option<String>,
}

impl Campaign {
    /// Runs all rounds and calls `on_round` after each. Ends early at the first failure, which the report names.
    pub async fn run(&self, on_round: impl FnMut(&Round)) -> CrashReport {
        let mut report = CrashReport::default();
        if let Err(error) = self.drive(&mut report, on_round).await {
            report.failure = Some(format!("{error:#}"));
        }
        report
    }

    async fn drive(&self, report: &mut CrashReport, mut on_round: impl FnMut(&Round)) -> Result<()> {
        let mut chance = Chance(SeededRng::new(self.seed), Vec::new());
        let mut program = Program::start(&self.binary, &self.project, Vec::new())?;
        program.require_well(TIMEOUT, None).await?;
        let load = Load::start(program.access()?).await?;
        for number in 1..=self.rounds {
            let round = round(number, &mut chance, &mut program, &load).await;
            load.fill(report);
            let round = round?;
            on_round(&round);
            report.rounds.push(round);
        }
        load.stop().await;
        program.terminate(TIMEOUT).await
    }
}

async fn round(number: u32, chance: &mut Chance, program: &mut Program, load: &Load) -> Result<Round> {
    let (victim, after_ms) = (chance.victim(), chance.within(BEFORE_KILL));
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    let mut killed = Instant::now();
    let old = program.kill(victim)?;
    let mut start_killed_after_ms = None;
    if victim != Victim::Postgres {
        program.up()?;
        if chance.within(0..3) == 0 {
            let after = chance.within(DURING_START);
            start_killed_after_ms = Some(after);
            tokio::time::sleep(Duration::from_millis(after)).await;
            killed = Instant::now();
            program.kill_rowhouse()?;
            program.up()?;
        }
    }
    program.require_well(TIMEOUT, Some(old)).await?;
    let recovery_ms = u64::try_from(killed.elapsed().as_millis())?;
    load.require_progress(TIMEOUT).await?;
    let acknowledged = load.verify().await?;
    load.require_nothing_unexpected()?;
    Ok(Round { number, victim, after_ms, start_killed_after_ms, recovery_ms, acknowledged })
}

/// Repeatable choices. Victims come in shuffled threes, so that even a short campaign meets them all.
struct Chance(std::sync::Arc<SeededRng>, Vec<Victim>);

impl Chance {
    fn within(&self, range: std::ops::Range<u64>) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        range.start + u64::from_le_bytes(bytes) % (range.end - range.start)
    }

    fn victim(&mut self) -> Victim {
        if self.1.is_empty() {
            self.1 = vec![Victim::Rowhouse, Victim::Postgres, Victim::Both];
        }
        let left = self.1.len() as u64;
        self.1.swap_remove(usize::try_from(self.within(0..left)).unwrap_or(0))
    }
}

impl CrashReport {
    /// Whether every round of `campaign` ended well.
    ///
    /// # Errors
    /// What went wrong.
    pub fn require_success(&self, campaign: &Campaign) -> Result<()> {
        ensure!(self.failure.is_none() && self.lost.is_empty(), "{:?}; lost: {:?}", self.failure, self.lost);
        ensure!(
            self.rounds.len() == campaign.rounds as usize,
            "{} of {} rounds",
            self.rounds.len(),
            campaign.rounds
        );
        Ok(())
    }
}
