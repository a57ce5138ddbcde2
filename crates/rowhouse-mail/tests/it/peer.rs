//! A real SMTP server beside the tests; see `peer.py`.

use std::process::Stdio;
use std::time::Duration;

use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::{MailSettings, MailTransport, RelayTls};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const PATIENCE: Duration = Duration::from_secs(30);

/// Ends when dropped.
pub(crate) struct Peer {
    port: u16,
    folder: tempfile::TempDir,
    is_safe: bool,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Peer {
    /// Takes mails from everybody, in the clear.
    pub(crate) async fn plain() -> Self {
        Self::start(false).await
    }

    /// Takes mails after STARTTLS and a sign-in.
    pub(crate) async fn safe() -> Self {
        Self::start(true).await
    }

    async fn start(is_safe: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peer.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(folder.path()).arg(if is_safe { "STARTTLS" } else { "PLAIN" });
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("python3");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap();
        let first = first.expect("the SMTP peer starts: `pip install aiosmtpd`, or ./test, installs it");
        Self { port: first.parse().unwrap(), folder, is_safe, lines, _child: child }
    }

    /// Settings that lead here.
    pub(crate) fn settings(&self) -> MailSettings {
        let plain = MailSettings {
            transport: MailTransport::Relay,
            relay_host: Some("localhost".to_owned()),
            relay_port: self.port,
            relay_tls: RelayTls::None,
            relay_timeout: Duration::from_secs(10),
            ..MailSettings::default()
        };
        if !self.is_safe {
            return plain;
        }
        MailSettings {
            relay_tls: RelayTls::Starttls,
            relay_ca_file: Some(self.folder.path().join("cert.pem").display().to_string()),
            relay_user: Some("user".to_owned()),
            relay_password: Some(Secret::new("right")),
            ..plain
        }
    }

    /// The next message that it took.
    pub(crate) async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a mail within 30 s");
        serde_json::from_str(&line.unwrap().unwrap()).unwrap()
    }
}
