//! The load generators: wrk for HTTP, pgbench for PostgreSQL.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use rowhouse_db::embedded::find_binaries;

use super::scenario::{Request, Scenario};
use super::server::{Server, User};

/// Clients of pgbench; the data plane has as many connections.
const PGBENCH_CLIENTS: u32 = 8;

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Where the load goes and as whom.
pub(crate) struct Load {
    url: String,
    token: String,
    anon_key: String,
    password: String,
    socket_dir: String,
    port: String,
    pgbench: PathBuf,
    folder: tempfile::TempDir,
}

impl Load {
    pub(crate) fn new(server: &Server, user: &User) -> Result<Self> {
        let installed = Command::new("wrk").arg("-v").output();
        anyhow::ensure!(installed.is_ok(), "wrk is not installed; install it with: apt-get install wrk");
        let binaries = find_binaries().map_err(|error| anyhow::anyhow!("{error}"))?;
        let data_dir = PathBuf::from(server.state["pg_data_dir"].as_str().context("pg_data_dir")?);
        let port = server.state["port"].as_u64().context("port")? + 1;
        Ok(Self {
            url: server.url().to_owned(),
            token: user.token.clone(),
            anon_key: server.state["anon_key"].as_str().unwrap_or_default().to_owned(),
            password: server.authenticator_password()?,
            socket_dir: data_dir.with_file_name("run").display().to_string(),
            port: port.to_string(),
            pgbench: binaries.program("pgbench"),
            folder: tempfile::tempdir()?,
        })
    }

    /// `connections` keep one request each in flight for `seconds`.
    pub(crate) fn wrk(&self, request: &Request, connections: u32, seconds: u32) -> Result<Measured> {
        let script = self.folder.path().join("request.lua");
        std::fs::write(&script, lua(request))?;
        let mut command = Command::new("wrk");
        command.args([
            "--threads",
            "1",
            "--connections",
            &connections.to_string(),
            "--duration",
            &format!("{seconds}s"),
            "--latency",
        ]);
        command.arg("--script").arg(&script);
        command.args([
            "--header",
            &format!("apikey: {}", self.anon_key),
            "--header",
            &format!("authorization: Bearer {}", self.token),
        ]);
        let output = command.arg(format!("{}{}", self.url, request.path)).output().context("wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        anyhow::ensure!(
            !text.contains("Non-2xx") && !text.contains("Socket errors"),
            "failed requests:\n{text}"
        );
        let per_second = word_after(&text, "Requests/sec:")
            .and_then(|word| word.parse().ok())
            .with_context(|| format!("wrk said:\n{text}"))?;
        let distribution =
            text.split_once("Latency Distribution").map(|(_, rest)| rest).context("latencies")?;
        let latency = |percentile: &str| {
            word_after(distribution, percentile).and_then(milliseconds).context("a latency")
        };
        Ok(Measured { per_second, p50_ms: latency("50%")?, p99_ms: latency("99%")? })
    }

    /// The scenario's transaction, prepared, for `seconds`. Latencies come from pgbench's log.
    pub(crate) fn pgbench(&self, scenario: &Scenario, seconds: u32) -> Result<Measured> {
        let script = self.folder.path().join("transaction.sql");
        std::fs::File::create(&script)?.write_all(scenario.script.as_bytes())?;
        let log = tempfile::tempdir()?;
        let clients = PGBENCH_CLIENTS.to_string();
        let mut command = Command::new(&self.pgbench);
        command.args([
            "--no-vacuum",
            "--protocol",
            "prepared",
            "--client",
            &clients,
            "--jobs",
            "1",
            "--time",
            &seconds.to_string(),
        ]);
        command.args(["--log", "--log-prefix"]).arg(log.path().join("t")).arg("--file").arg(&script);
        for (name, value) in &scenario.variables {
            command.arg("--define").arg(format!("{name}={value}"));
        }
        command.args([
            "--host",
            &self.socket_dir,
            "--port",
            &self.port,
            "--username",
            "authenticator",
            "postgres",
        ]);
        let output = command.env("PGPASSWORD", &self.password).output().context("pgbench")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success() && !complaint.contains("ERROR"), "pgbench: {complaint}");
        let per_second = word_after(&text, "tps = ")
            .and_then(|word| word.parse().ok())
            .with_context(|| format!("pgbench said:\n{text}"))?;
        let (p50_ms, p99_ms) = percentiles(log.path())?;
        Ok(Measured { per_second, p50_ms, p99_ms })
    }
}

fn lua(request: &Request) -> String {
    let body = request
        .body
        .as_ref()
        .map(|body| format!("wrk.body = {body:?}\nwrk.headers['content-type'] = 'application/json'\n"));
    format!("wrk.method = '{}'\n{}", request.method, body.unwrap_or_default())
}

fn word_after<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    text.split_once(label)?.1.split_whitespace().next()
}

/// wrk writes `850.00us`, `1.20ms` or `1.05s`.
fn milliseconds(word: &str) -> Option<f64> {
    let scales = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    scales
        .into_iter()
        .find_map(|(unit, scale)| word.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * scale))
}

/// Third column of the transaction log: microseconds.
fn percentiles(folder: &std::path::Path) -> Result<(f64, f64)> {
    let mut micros: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(entry?.path())?;
        micros.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
    }
    anyhow::ensure!(!micros.is_empty(), "pgbench logged no transaction");
    micros.sort_unstable();
    let at = |share: usize| micros[(micros.len() - 1) * share / 100] as f64 / 1000.0;
    Ok((at(50), at(99)))
}
