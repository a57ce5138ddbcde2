//! `status`: whether the project's server runs and is ready.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use rowhouse_module::Project;
use rowhouse_module::State;
use rowhouse_module::{CannotRun, CommandOutcome};

const READY_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn run(project: &Project) -> Result<CommandOutcome, CannotRun> {
    let Some(state) = State::read(project).filter(|_| State::is_running(project)) else {
        let text = format!("not running; start it with: rowhouse up --dir {}", project.root().display());
        return Ok(CommandOutcome { yes: false, json: json!({ "running": false, "ready": false }), text });
    };
    let ready = tokio::time::timeout(READY_TIMEOUT, is_ready(&state)).await.unwrap_or(false);
    let word = if ready { "ready" } else { "running, not ready" };
    let text = format!("{word}: {} (pid {}, since {})", state.url, state.pid, state.started_at);
    let json = json!({ "running": true, "ready": ready, "url": state.url, "port": state.port, "pid": state.pid, "pg_pid": state.pg_pid, "version": state.version, "started_at": state.started_at });
    Ok(CommandOutcome { yes: ready, json, text })
}

/// A minimal HTTP request, without an HTTP client.
async fn is_ready(state: &State) -> bool {
    let host = state.url.trim_start_matches("http://");
    let Ok(mut stream) = TcpStream::connect(host).await else { return false };
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
