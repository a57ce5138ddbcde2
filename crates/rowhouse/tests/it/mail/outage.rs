//! No accepted mail is lost while the relay is unreachable and the program is killed. `cargo xtask check --long` runs
//! the same campaign with ten minutes and a thousand mails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rowhouse_testkit::outage::Campaign;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_mail_arrives_and_twice_only_what_was_under_way_at_a_kill() {
    let campaign = Campaign {
        binary: PathBuf::from(env!("CARGO_BIN_EXE_rowhouse")),
        project: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/todos"),
        mails: 100,
        outage: Duration::from_secs(3),
        later_kills: 1,
    };
    let report = campaign.run(|event| eprintln!("{event}")).await;
    eprintln!("{report:#?}");
    report.require_success(&campaign).unwrap();
}
