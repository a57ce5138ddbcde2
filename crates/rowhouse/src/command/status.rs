//! `status`: whether the project's server runs and is ready.

use std::time::Duration;

use rowhouse_module::{CannotRun, CommandOutcome, Instance, Project, State};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::instance::serving;

const READY_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn run(project: &Project) -> Result<CommandOutcome, CannotRun> {
    if let Some(state) = State::read(project).filter(|_| State::is_running(project)) {
        return Ok(of_up(&state).await);
    }
    match serving(project) {
        none if none.is_empty() => Ok(of_none(project)),
        serving => Ok(of_serve(&serving).await),
    }
}

fn of_none(project: &Project) -> CommandOutcome {
    let text = format!(
        "not running; start it with: rowhouse up{}\n\
         (a `serve` is seen only where it can write to the project's folder, and on the same machine)",
        project.dir_option()
    );
    CommandOutcome { yes: false, json: json!({ "running": false, "ready": false }), text }
}

async fn of_up(state: &State) -> CommandOutcome {
    let ready = is_ready(state.url.trim_start_matches("http://")).await;
    let text = format!("{}: {} (pid {}, since {})", word(ready), state.url, state.pid, state.started_at);
    let json = json!({ "running": true, "ready": ready, "url": state.url, "port": state.port, "pid": state.pid, "pg_pid": state.pg_pid, "version": state.version, "started_at": state.started_at });
    CommandOutcome { yes: ready, json, text }
}

/// Ready if all of them are.
async fn of_serve(serving: &[Instance]) -> CommandOutcome {
    let (mut lines, mut rows): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut all_ready = true;
    for instance in serving {
        let ready = match instance.address {
            Some(address) => is_ready(&address.to_string()).await,
            None => false,
        };
        all_ready &= ready;
        let url = instance.address.map(|address| format!("http://{address}"));
        let shown = url.as_deref().unwrap_or("address unknown");
        lines.push(format!("{}: {shown} (serve, pid {})", word(ready), instance.pid));
        rows.push(json!({ "ready": ready, "url": url, "pid": instance.pid }));
    }
    let first = rows.first().cloned().unwrap_or_default();
    let json = json!({ "running": true, "ready": all_ready, "url": first["url"], "pid": first["pid"], "serve": rows });
    CommandOutcome { yes: all_ready, json, text: lines.join("\n") }
}

fn word(ready: bool) -> &'static str {
    if ready { "ready" } else { "running, not ready" }
}

/// Whether the process at an address answers that it is ready.
pub(super) async fn is_ready(authority: &str) -> bool {
    tokio::time::timeout(READY_TIMEOUT, answers_ready(authority)).await.unwrap_or(false)
}

/// A minimal HTTP request, without an HTTP client.
async fn answers_ready(authority: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(authority).await else { return false };
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
