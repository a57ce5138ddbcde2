//! A real SMTP server as relay; see `sink.py`.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::ledger::Ledger;

/// Delay of its replies, in seconds.
const PAUSE: &str = "0.02";

/// A mail that it has accepted.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Taken {
    pub(super) message_id: String,
    pub(super) subject: String,
}

/// A running server; killed when dropped.
pub(super) struct Sink(Child);

impl Sink {
    /// Listens on `port` and records accepted mails in the ledger.
    pub(super) async fn start(port: u16, ledger: &Arc<Ledger>) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/outage/sink.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(port.to_string()).arg(PAUSE);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("python3")?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        let first = lines.next_line().await?;
        ensure!(
            first.as_deref() == Some("ready"),
            "the SMTP sink does not start; `pip install aiosmtpd`, or ./test, installs what it needs"
        );
        let ledger = Arc::clone(ledger);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(taken) => ledger.took(taken),
                    Err(error) => ledger.stumbled(&anyhow!("the sink said {line:?}: {error}")),
                }
            }
        });
        Ok(Self(child))
    }

    /// Kills it at once, with every connection.
    pub(super) async fn kill(mut self) -> Result<()> {
        self.0.kill().await?;
        Ok(())
    }
}

/// A port below the ephemeral range, so that no client gets it while the sink is down.
pub(super) fn free_port() -> Result<u16> {
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let first = 32_000 + u16::try_from(std::process::id() % 600)?;
    (first..32_700).find(is_free).context("no free port")
}
