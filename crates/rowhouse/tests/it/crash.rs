//! The real binary through kill -9. `cargo xtask check --long` runs the same campaign with many more rounds.

use std::path::{Path, PathBuf};

use rowhouse_testkit::crash::Campaign;

const ROUNDS: u32 = 5;
const SEED: u64 = 20_261_121;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kills_and_recovery_is_automatic() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/todos");
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_rowhouse"));
    let campaign = Campaign { binary, project, rounds: ROUNDS, seed: SEED };
    eprintln!("seed {SEED}");
    let report = campaign.run(|round| eprintln!("{round:?}")).await;
    eprintln!("{report:?}");
    report.require_success(&campaign).unwrap();
}
