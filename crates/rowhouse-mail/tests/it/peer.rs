//! A real SMTP server for the tests; see `peer.py`.

use std::process::Stdio;
use std::time::Duration;

use rowhouse_kernel::Secret;
use rowhouse_mail::{MailSettings, MailTransport, RelayTls};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Ends when dropped.
pub(crate) struct Peer {
    port: u16,
    folder: tempfile::TempDir,
    mode: &'static str,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Peer {
    /// Accepts mails without authentication and TLS.
    pub(crate) async fn plain() -> Self {
        Self::start("PLAIN", 0).await
    }

    /// The same, for addresses in ASCII only.
    pub(crate) async fn ascii() -> Self {
        Self::start("ASCII", 0).await
    }

    /// The same at a port that is known to be free.
    pub(crate) async fn at(port: u16) -> Self {
        Self::start("PLAIN", port).await
    }

    /// Accepts mails after STARTTLS and AUTH.
    pub(crate) async fn safe() -> Self {
        Self::start("STARTTLS", 0).await
    }

    /// The same, encrypted from the first byte.
    pub(crate) async fn implicit() -> Self {
        Self::start("IMPLICIT", 0).await
    }

    async fn start(mode: &'static str, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/peer.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(folder.path()).arg(mode).arg(port.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("python3");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap();
        let first = first.expect("the SMTP peer starts: `pip install aiosmtpd`, or ./test, installs it");
        Self { port: first.parse().unwrap(), folder, mode, lines, _child: child }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Settings with this server as relay.
    pub(crate) fn settings(&self) -> MailSettings {
        let plain = MailSettings {
            transport: MailTransport::Relay,
            relay_host: Some("localhost".to_owned()),
            relay_port: self.port,
            relay_tls: RelayTls::None,
            relay_timeout: Duration::from_secs(10),
            ..MailSettings::default()
        };
        let relay_tls = match self.mode {
            "STARTTLS" => RelayTls::Starttls,
            "IMPLICIT" => RelayTls::Implicit,
            _ => return plain,
        };
        MailSettings {
            relay_tls,
            relay_ca_file: Some(self.folder.path().join("cert.pem").display().to_string()),
            relay_user: Some("user".to_owned()),
            relay_password: Some(Secret::new("right")),
            ..plain
        }
    }

    /// The next message that it accepted.
    pub(crate) async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(TIMEOUT, self.lines.next_line()).await.expect("a mail within 30 s");
        serde_json::from_str(&line.unwrap().unwrap()).unwrap()
    }
}
