//! Workers in processes of their own under load: killed, stopped, cut off, with a database that is killed under them.
//! Afterwards every job that was committed has ended exactly once. `cargo xtask check --long --only jobs` runs the same
//! with many more rounds.

mod act;
mod campaign;
mod link;
mod load;
mod process;
mod race;
mod recovery;

use std::time::Duration;

use campaign::Campaign;

/// Kills in `./test`.
const ROUNDS: u64 = 20;
const SEED: u64 = 20_261_121;
/// A killed worker's jobs run elsewhere.
const TAKEOVER: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_committed_job_ends_exactly_once_however_workers_and_databases_end() {
    let number = |name: &str, otherwise| {
        std::env::var(name).ok().map_or(otherwise, |text| text.parse::<u64>().unwrap())
    };
    let (rounds, seed) = (number("ROWHOUSE_CHAOS_ROUNDS", ROUNDS), number("ROWHOUSE_CHAOS_SEED", SEED));
    let report = Campaign::start(seed).await.run(rounds).await;
    println!("chaos: {}", serde_json::to_string(&report).unwrap());
    // How fast it is depends on who else uses the machine; the long campaign has it to itself.
    let limit = if rounds == ROUNDS { Duration::MAX } else { TAKEOVER };
    assert_eq!(report.complaints(rounds, limit), None);
}
