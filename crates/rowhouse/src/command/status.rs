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
    let why = why_unready(state.url.trim_start_matches("http://")).await;
    let ready = why.is_none();
    let text =
        format!("{}: {} (pid {}, since {})", word(why.as_deref()), state.url, state.pid, state.started_at);
    let json = json!({ "running": true, "ready": ready, "url": state.url, "port": state.port, "pid": state.pid, "pg_pid": state.pg_pid, "version": state.version, "started_at": state.started_at });
    CommandOutcome { yes: ready, json, text }
}

/// Ready if all of them are.
async fn of_serve(serving: &[Instance]) -> CommandOutcome {
    let (mut lines, mut rows): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut all_ready = true;
    for instance in serving {
        let why = match instance.address {
            Some(address) => why_unready(&address.to_string()).await,
            None => Some(String::new()),
        };
        let ready = why.is_none();
        all_ready &= ready;
        let url = instance.address.map(|address| format!("http://{address}"));
        let shown = url.as_deref().unwrap_or("address unknown");
        lines.push(format!("{}: {shown} (serve, pid {})", word(why.as_deref()), instance.pid));
        rows.push(json!({ "ready": ready, "url": url, "pid": instance.pid }));
    }
    let first = rows.first().cloned().unwrap_or_default();
    let json = json!({ "running": true, "ready": all_ready, "url": first["url"], "pid": first["pid"], "serve": rows });
    CommandOutcome { yes: all_ready, json, text: lines.join("\n") }
}

/// With the reason, where the server has given one.
fn word(why_unready: Option<&str>) -> String {
    match why_unready {
        None => "ready".to_owned(),
        Some("") => "running, not ready".to_owned(),
        Some(why) => format!("running, not ready ({why})"),
    }
}

/// Whether the process at an address answers that it is ready.
pub(super) async fn is_ready(authority: &str) -> bool {
    why_unready(authority).await.is_none()
}

/// Why it is not ready, if so.
async fn why_unready(authority: &str) -> Option<String> {
    match tokio::time::timeout(READY_TIMEOUT, ask_ready(authority)).await {
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200") => None,
        Ok(Ok(answer)) => Some(reason(&answer)),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {READY_TIMEOUT:?}")),
    }
}

/// The message of a refusal.
fn reason(answer: &str) -> String {
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["message"].as_str().unwrap_or_default().to_owned()
}

/// A minimal HTTP request, without an HTTP client.
async fn ask_ready(authority: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(authority).await?;
    let request = format!("GET /health/ready HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).await?;
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    #[test]
    fn reason_is_the_message_of_the_refusal() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 58\r\n\r\n{\"code\":\"not_ready\",\"message\":\"database: read-only\"}";
        let word = super::word(Some(&super::reason(answer)));
        assert_eq!(word, "running, not ready (database: read-only)");
        assert_eq!(
            super::word(Some(&super::reason("HTTP/1.1 502 Bad Gateway\r\n\r\nsorry"))),
            "running, not ready"
        );
    }
}
