//! The release binary on a fresh project, and how fast it gets ready.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rowhouse_db::embedded::find_binaries;
use serde_json::{Value, json};

use super::process::Processes;

/// How long a start may take before the bench gives up.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Time from exec to the ready line, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartTimes {
    /// With initdb.
    pub(crate) first_ms: u64,
    /// On the existing project.
    pub(crate) again_ms: u64,
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    binary: PathBuf,
    project: PathBuf,
    /// `.rowhouse/state.json`.
    pub(crate) state: Value,
    /// The process of a PostgreSQL that it did not start.
    postmaster: Option<u32>,
    http: reqwest::Client,
}

/// A signed-in user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) token: String,
    pub(crate) claims: Value,
    pub(crate) claims_text: String,
}

impl Server {
    /// Starts on a fresh copy of the example project, stops, and starts again.
    pub(crate) fn first_start(root: &Path, folder: &Path) -> Result<(Self, StartTimes)> {
        let project = folder.join("project");
        copy_project(&root.join("examples/todos"), &project)?;
        let binary = root.join("target/release/rowhouse");
        let (mut first, first_ms) = Self::start(&binary, &project, &[])?;
        first.stop()?;
        let (again, again_ms) = Self::start(&binary, &project, &[])?;
        Ok((again, StartTimes { first_ms, again_ms }))
    }

    /// Starts a program once on a fresh copy of the example project.
    pub(crate) fn start_program(binary: &Path, root: &Path, folder: &Path) -> Result<Self> {
        let project = folder.join("project");
        copy_project(&root.join("examples/todos"), &project)?;
        Ok(Self::start(binary, &project, &[])?.0)
    }

    /// Starts once on a fresh copy of the example project, over a PostgreSQL that is there.
    pub(crate) fn start_on(
        root: &Path,
        folder: &Path,
        variables: &[(&str, &str)],
        postmaster: u32,
    ) -> Result<Self> {
        let project = folder.join("project");
        copy_project(&root.join("examples/todos"), &project)?;
        let (mut server, _) = Self::start(&root.join("target/release/rowhouse"), &project, variables)?;
        server.postmaster = Some(postmaster);
        Ok(server)
    }

    /// A second server of this one's keys over the same PostgreSQL, with settings changed by variables.
    pub(crate) fn start_beside(
        &self,
        root: &Path,
        folder: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let (from, to) = (self.project.join(".rowhouse/keys"), folder.join("project/.rowhouse/keys"));
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(from)? {
            let path = entry?.path();
            std::fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
        }
        Self::start_on(root, folder, variables, self.postmaster.context("a PostgreSQL of its own")?)
    }

    /// A fresh process on the same project, with settings changed by variables.
    pub(crate) fn restart(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        self.stop()?;
        let (mut fresh, _) = Self::start(&self.binary.clone(), &self.project.clone(), variables)?;
        fresh.postmaster = self.postmaster;
        *self = fresh;
        Ok(())
    }

    fn start(binary: &Path, project: &Path, variables: &[(&str, &str)]) -> Result<(Self, u64)> {
        let log = std::fs::File::create(project.join("up.log"))?;
        let port = free_port()?;
        let started = Instant::now();
        let mut command = Command::new(binary);
        command.args(["up", "--port", &port.to_string(), "--dir"]).arg(project);
        command.envs(variables.iter().copied());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("starting the server")?;
        wait_for_ready(project, started)?;
        let took = u64::try_from(started.elapsed().as_millis())?;
        let state = serde_json::from_str(&std::fs::read_to_string(project.join(".rowhouse/state.json"))?)?;
        Ok((
            Self {
                child,
                binary: binary.to_owned(),
                project: project.to_owned(),
                state,
                postmaster: None,
                http: reqwest::Client::new(),
            },
            took,
        ))
    }

    /// SIGTERM, and wait.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn url(&self) -> &str {
        self.state["url"].as_str().unwrap_or_default()
    }

    /// Of the server alone; PostgreSQL has processes of its own.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn processes(&self) -> Result<Processes> {
        let started = || u32::try_from(self.state["pg_pid"].as_u64()?).ok();
        let postmaster = self.postmaster.or_else(started).context("pg_pid")?;
        Ok(Processes { server: self.pid(), postmaster })
    }

    /// Runs a statement as the superuser.
    pub(crate) fn run_as_superuser(&self, sql: &str) -> Result<()> {
        let binaries = find_binaries().map_err(|error| anyhow::anyhow!("{error}"))?;
        let url = self.state["db_url"].as_str().context("db_url")?;
        let output = Command::new(binaries.program("psql"))
            .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", sql, url])
            .output()
            .context("psql")?;
        anyhow::ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// The rows of a table.
    pub(crate) fn count(&self, table: &str) -> Result<u64> {
        let binaries = find_binaries().map_err(|error| anyhow::anyhow!("{error}"))?;
        let url = self.state["db_url"].as_str().context("db_url")?;
        let sql = format!("select count(*) from {table}");
        let output = Command::new(binaries.program("psql"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", &sql, url])
            .output()
            .context("psql")?;
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }

    /// A request as `user`; anything but success is an error.
    pub(crate) async fn exchange(
        &self,
        user: &User,
        request: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response> {
        let response = request(&self.http, self.url()).bearer_auth(&user.token).send().await?;
        let status = response.status();
        if !status.is_success() {
            anyhow::bail!("{status} {}", response.text().await?);
        }
        Ok(response)
    }

    pub(crate) async fn sign_up(&self) -> Result<User> {
        self.sign_up_as("bench@example.com").await
    }

    /// The same with another address.
    pub(crate) async fn sign_up_as(&self, email: &str) -> Result<User> {
        let body = json!({ "email": email, "password": "correct horse" });
        let session = self
            .send("POST", "/auth/v1/signup", self.state["anon_key"].as_str().unwrap_or_default(), &body)
            .await?;
        let token = session["access_token"].as_str().context("an access token")?.to_owned();
        let payload = token.split('.').nth(1).context("a payload")?;
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload)?;
        let claims_text = String::from_utf8(bytes)?;
        Ok(User { claims: serde_json::from_str(&claims_text)?, claims_text, token })
    }

    /// One request with a JSON body; anything but success is an error.
    pub(crate) async fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Result<Value> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let request = self.http.request(method, format!("{}{path}", self.url())).bearer_auth(token);
        let response = request.header("prefer", "return=representation").json(body).send().await?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// What `rowhouse rest explain --json` says of a request.
    pub(crate) fn explain(&self, request: &str, body: Option<&str>) -> Result<Value> {
        let data = body.map(|body| ["--data", body]);
        self.run(&["rest", "explain", request], data.as_ref().map_or(&[], |data| data.as_slice()))
    }

    /// What a command says with `--json`.
    pub(crate) fn run(&self, command: &[&str], options: &[&str]) -> Result<Value> {
        let mut program = Command::new(&self.binary);
        program.args(command).args(["--json", "--dir"]).arg(&self.project).args(options);
        let output = program.output()?;
        anyhow::ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The password of a login of the program.
    pub(crate) fn password(&self, login: &str) -> Result<String> {
        let secrets: toml::Table =
            std::fs::read_to_string(self.project.join(".rowhouse/keys/secrets.toml"))?.parse()?;
        let password = secrets.get(&format!("{login}_password")).and_then(toml::Value::as_str);
        Ok(password.context("the password")?.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After an error on the way; a stopped server is gone already.
        let _stopped = self.stop();
    }
}

fn wait_for_ready(project: &Path, started: Instant) -> Result<()> {
    let log = project.join("up.log");
    while started.elapsed() < TIMEOUT {
        let lines = BufReader::new(std::fs::File::open(&log)?).lines();
        if lines.map_while(Result::ok).any(|line| line.starts_with("Rowhouse is ready")) {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    anyhow::bail!("not ready within {TIMEOUT:?}:\n{}", std::fs::read_to_string(&log)?)
}

/// A port P such that P+1, P+3 and P+4 are free as well: PostgreSQL, captured mail, SMTP.
pub(crate) fn free_port() -> Result<u16> {
    (0..100)
        .find_map(|_| {
            let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
            let is_free = |offset| std::net::TcpListener::bind(("127.0.0.1", port.checked_add(offset)?)).ok();
            [1, 3, 4].into_iter().all(|offset| is_free(offset).is_some()).then_some(port)
        })
        .context("free ports")
}

fn copy_project(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to.join("migrations"))?;
    for name in ["rowhouse.toml", "seed.sql"] {
        std::fs::copy(from.join(name), to.join(name))?;
    }
    for entry in std::fs::read_dir(from.join("migrations"))? {
        let path = entry?.path();
        std::fs::copy(&path, to.join("migrations").join(path.file_name().unwrap_or_default()))?;
    }
    std::fs::write(to.join("migrations/99991231000000_bench.sql"), include_str!("project.sql"))?;
    Ok(())
}
