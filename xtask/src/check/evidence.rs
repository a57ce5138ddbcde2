//! The JSON of a campaign.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

/// One campaign's outcome.
pub(crate) struct Evidence {
    pub(crate) name: &'static str,
    /// What to say after `--only`.
    pub(crate) only: &'static str,
    pub(crate) parameters: Value,
    pub(crate) holds: bool,
    pub(crate) figures: Value,
}

impl Evidence {
    /// Writes `docs/evidence/<name>.json` with date, revision and machine.
    pub(crate) fn write(self, root: &Path) -> Result<()> {
        let document = json!({
            "name": self.name,
            "command": format!("cargo xtask check --long --only {}", self.only),
            "date": output("date", &["--utc", "+%Y-%m-%dT%H:%M:%SZ"], root),
            "revision": output("git", &["rev-parse", "HEAD"], root),
            "dirty": !output("git", &["status", "--porcelain", "--untracked-files=no"], root).is_empty(),
            "machine": { "cpus": output("nproc", &[], root), "kernel": output("uname", &["-sr"], root) },
            "parameters": self.parameters,
            "holds": self.holds,
            "figures": self.figures,
        });
        let folder = root.join("docs/evidence");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(
            folder.join(format!("{}.json", self.name)),
            serde_json::to_string_pretty(&document)? + "\n",
        )?;
        Ok(())
    }
}

/// What a program prints; empty if it cannot be run.
pub(crate) fn output(program: &str, args: &[&str], root: &Path) -> String {
    let output = Command::new(program).args(args).current_dir(root).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
