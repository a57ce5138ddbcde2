//! The load on HTTP: wrk.

use std::process::Command;

use anyhow::{Context, Result};

use super::process::Processes;
use super::scenario::Request;
use super::server::{Server, User};
use super::{Measured, word_after};

/// Target and caller of the load.
pub(crate) struct Wrk {
    url: String,
    token: String,
    anon_key: String,
    processes: Processes,
    folder: tempfile::TempDir,
}

impl Wrk {
    pub(crate) fn new(server: &Server, user: &User) -> Result<Self> {
        let installed = Command::new("wrk").arg("-v").output();
        anyhow::ensure!(installed.is_ok(), "wrk is not installed; install it with: apt-get install wrk");
        Ok(Self {
            url: server.url().to_owned(),
            token: user.token.clone(),
            anon_key: server.state["anon_key"].as_str().unwrap_or_default().to_owned(),
            processes: server.processes()?,
            folder: tempfile::tempdir()?,
        })
    }

    /// `connections` keep one request each in flight for `seconds`.
    pub(crate) fn run(&self, request: &Request, connections: u32, seconds: u32) -> Result<Measured> {
        self.run_lua(&lua(request), request, connections, seconds)
    }

    /// The same at a rate: each connection pauses between its requests, for `pause_ms` on average.
    pub(crate) fn run_paused(
        &self,
        request: &Request,
        connections: u32,
        seconds: u32,
        pause_ms: u32,
    ) -> Result<Measured> {
        let pause = format!("function delay() return math.random(0, {}) end\n", pause_ms * 2);
        self.run_lua(&(lua(request) + &pause), request, connections, seconds)
    }

    fn run_lua(&self, lua: &str, request: &Request, connections: u32, seconds: u32) -> Result<Measured> {
        let script = self.folder.path().join("request.lua");
        std::fs::write(&script, lua)?;
        let mut command = Command::new("wrk");
        command.args(["--threads", "1", "--latency", "--connections", &connections.to_string()]);
        command.args(["--duration", &format!("{seconds}s")]).arg("--script").arg(&script);
        command.args(["--header", &format!("apikey: {}", self.anon_key)]);
        command.args(["--header", &format!("authorization: Bearer {}", self.token)]);
        command.arg(format!("{}{}", self.url, request.path));
        let before = self.processes.cpu_time()?;
        let output = command.output().context("wrk")?;
        let spent = self.processes.cpu_time()?.since(before);
        let text = String::from_utf8_lossy(&output.stdout);
        let measured = read(&text).with_context(|| format!("wrk said:\n{text}"))?;
        Ok(measured.with_cpu_time(spent))
    }
}

fn lua(request: &Request) -> String {
    let body = request
        .body
        .as_ref()
        .map(|body| format!("wrk.body = {body:?}\nwrk.headers['content-type'] = 'application/json'\n"));
    format!("wrk.method = '{}'\n{}", request.method, body.unwrap_or_default())
}

/// The figures that wrk printed.
pub(crate) fn read(text: &str) -> Result<Measured> {
    anyhow::ensure!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "failed requests");
    let number = |label| word_after(text, label).and_then(|word| word.parse::<f64>().ok());
    let distribution = text.split_once("Latency Distribution").map(|(_, rest)| rest).context("latencies")?;
    let latency =
        |percentile| word_after(distribution, percentile).and_then(milliseconds).context("a latency");
    let (before, _) = text.split_once(" requests in").context("the number of requests")?;
    Ok(Measured {
        count: before.split_whitespace().next_back().unwrap_or_default().parse()?,
        per_second: number("Requests/sec:").context("requests per second")?,
        p50_ms: latency("50%")?,
        p99_ms: latency("99%")?,
        server_cpu_us: 0.0,
        postgres_cpu_us: 0.0,
    })
}

/// wrk writes `850.00us`, `1.20ms` or `1.05s`.
fn milliseconds(word: &str) -> Option<f64> {
    let scales = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    scales
        .into_iter()
        .find_map(|(unit, scale)| word.strip_suffix(unit)?.parse::<f64>().ok().map(|number| number * scale))
}
