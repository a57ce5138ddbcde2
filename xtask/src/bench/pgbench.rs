//! The load on PostgreSQL alone: pgbench.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rowhouse_db::embedded::find_binaries;

use super::process::Processes;
use super::script::Script;
use super::server::Server;
use super::{Measured, word_after};

/// The data plane has as many connections.
pub(crate) const CLIENTS: u32 = 8;

/// How long a transaction is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Repeat {
    /// By all clients, for so many seconds.
    Seconds(u32),
    /// By one client, once.
    Once,
}

/// Where the load goes: as a login of the program, over the socket that it uses.
pub(crate) struct Pgbench {
    program: PathBuf,
    login: &'static str,
    clients: u32,
    password: String,
    socket_dir: String,
    port: String,
    processes: Processes,
}

impl Pgbench {
    /// As the login of the data plane.
    pub(crate) fn new(server: &Server) -> Result<Self> {
        Self::of_login(server, "authenticator", CLIENTS)
    }

    pub(crate) fn of_login(server: &Server, login: &'static str, clients: u32) -> Result<Self> {
        let binaries = find_binaries().map_err(|error| anyhow::anyhow!("{error}"))?;
        let data_dir = PathBuf::from(server.state["pg_data_dir"].as_str().context("pg_data_dir")?);
        let port = server.state["port"].as_u64().context("port")? + 1;
        Ok(Self {
            program: binaries.program("pgbench"),
            login,
            clients,
            password: server.password(login)?,
            socket_dir: data_dir.with_file_name("run").display().to_string(),
            port: port.to_string(),
            processes: server.processes()?,
        })
    }

    /// The transaction, prepared. Latencies come from pgbench's log.
    pub(crate) fn run(&self, script: &Script, repeat: Repeat) -> Result<Measured> {
        self.run_text(&script.transaction(), &script.variables, repeat)
    }

    /// The same of a script's text.
    pub(crate) fn run_text(
        &self,
        text: &str,
        variables: &[(String, String)],
        repeat: Repeat,
    ) -> Result<Measured> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("transaction.sql");
        std::fs::write(&file, text)?;
        let log = tempfile::tempdir()?;
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol", "prepared", "--jobs", "1", "--log", "--log-prefix"]);
        command.arg(log.path().join("t")).arg("--file").arg(&file);
        match repeat {
            Repeat::Seconds(seconds) => {
                command.args(["--client", &self.clients.to_string()]).args(["--time", &seconds.to_string()])
            }
            Repeat::Once => command.args(["--client", "1", "--transactions", "1"]),
        };
        for (name, value) in variables {
            command.arg("--define").arg(format!("{name}={value}"));
        }
        command.args(["--host", &self.socket_dir, "--port", &self.port]);
        command.args(["--username", self.login, "postgres"]).env("PGPASSWORD", &self.password);
        let before = self.processes.cpu_time()?;
        let output = command.output().context("pgbench")?;
        let spent = self.processes.cpu_time()?.since(before);
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success() && !complaint.contains("ERROR"), "pgbench: {complaint}");
        let per_second = word_after(&text, "tps = ").and_then(|word| word.parse().ok());
        let per_second = per_second.with_context(|| format!("pgbench said:\n{text}"))?;
        Ok(measured(per_second, &latencies(log.path())?).with_cpu_time(spent))
    }
}

/// In microseconds, ascending: the third column of the transaction log.
fn latencies(folder: &Path) -> Result<Vec<u64>> {
    let mut micros: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(entry?.path())?;
        micros.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
    }
    anyhow::ensure!(!micros.is_empty(), "pgbench logged no transaction");
    micros.sort_unstable();
    Ok(micros)
}

fn measured(per_second: f64, micros: &[u64]) -> Measured {
    let at = |share: usize| micros[(micros.len() - 1) * share / 100] as f64 / 1000.0;
    Measured {
        count: micros.len() as u64,
        per_second,
        p50_ms: at(50),
        p99_ms: at(99),
        server_cpu_us: 0.0,
        postgres_cpu_us: 0.0,
    }
}
