//! An outage of the relay for ten minutes, a thousand mails, three kills: the outcome of each mail.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rowhouse_testkit::outage::Campaign;
use serde_json::json;

use super::evidence::Evidence;

const MAILS: u32 = 1000;
const OUTAGE: Duration = Duration::from_secs(600);
/// Kills while mails are delivered, in addition to the one while the relay is unreachable.
const LATER_KILLS: u32 = 2;

/// True if nothing was lost, and only mails in delivery at a kill arrived twice.
pub(super) fn run(root: &Path) -> Result<bool> {
    super::cargo(root, &["build", "--package", "rowhouse"], None)?;
    let campaign = Campaign {
        binary: root.join("target/debug/rowhouse"),
        project: root.join("examples/todos"),
        mails: MAILS,
        outage: OUTAGE,
        later_kills: LATER_KILLS,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(campaign.run(|event| eprintln!("mail: {event}")));
    let verdict = report.require_success(&campaign);
    if let Err(error) = &verdict {
        eprintln!("mail: {error:#}");
    }
    let parameters = json!({
        "mails": MAILS, "outage_seconds": OUTAGE.as_secs(), "kills": LATER_KILLS + 1,
    });
    let figures = serde_json::to_value(&report)?;
    Evidence { name: "mail-outage", only: "mail", parameters, holds: verdict.is_ok(), figures }
        .write(root)?;
    Ok(verdict.is_ok())
}
