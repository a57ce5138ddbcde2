//! `cargo xtask bench mail`: how many mails a second are accepted, each acknowledged only when it is durable.
//! Captured; queued for a relay that does not answer, over SMTP and over HTTP, while the worker tries to deliver;
//! queued for a relay that refuses every mail for now.

mod client;
mod refuser;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::server::Server;
use super::{build, report};
use crate::check::output;
use client::Endpoint;

/// Mails a second that are promised.
const ACCEPT: f64 = 1500.0;
const CAPTURE: f64 = 1000.0;
/// A port without a listener.
const NOBODY: u16 = 9;

/// How long, and from how many connections at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) seconds: u32,
    pub(crate) connections: u32,
}

/// Builds, measures, prints and writes `docs/evidence/bench-mail.json`.
pub(crate) fn run(root: &Path, load: Load) -> Result<bool> {
    build(root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let document = runtime.block_on(measure(root, load))?;
    println!("{document:#}");
    report::write(&document, &root.join("docs/evidence/bench-mail.json"))?;
    Ok(document["holds"] == true)
}

async fn measure(root: &Path, load: Load) -> Result<Value> {
    let folder = tempfile::tempdir().context("a folder for the project")?;
    let (mut server, _) = Server::first_start(root, folder.path())?;
    let mut phases = serde_json::Map::new();
    phases.insert("capture".to_owned(), figures(&server, load, smtp, Some(CAPTURE)).await?);
    let refuser = refuser::start().await?;
    for (name, relay, endpoint, promised) in [
        ("accept", NOBODY, smtp as EndpointOf, Some(ACCEPT)),
        ("accept_http", NOBODY, http, None),
        ("accept_while_refused", refuser, smtp, Some(ACCEPT)),
    ] {
        let port = relay.to_string();
        server.restart(&[
            ("ROWHOUSE_MAIL__TRANSPORT", "relay"),
            ("ROWHOUSE_MAIL__RELAY_HOST", "127.0.0.1"),
            ("ROWHOUSE_MAIL__RELAY_PORT", &port),
            ("ROWHOUSE_MAIL__RELAY_TLS", "none"),
        ])?;
        phases.insert(name.to_owned(), figures(&server, load, endpoint, promised).await?);
    }
    server.stop()?;
    let holds = phases.values().all(|phase| phase["holds"] != false);
    Ok(json!({
        "name": "bench-mail",
        "command": format!(
            "cargo xtask bench mail --seconds {} --connections {}", load.seconds, load.connections
        ),
        "date": output("date", &["--utc", "+%Y-%m-%dT%H:%M:%SZ"], root),
        "revision": output("git", &["rev-parse", "HEAD"], root),
        "dirty": !output("git", &["status", "--porcelain", "--untracked-files=no"], root).is_empty(),
        "machine": { "cpus": output("nproc", &[], root), "kernel": output("uname", &["-sr"], root) },
        "parameters": {
            "seconds": load.seconds, "connections": load.connections, "text_bytes": client::text().len(),
        },
        "holds": holds,
        "phases": phases,
    }))
}

type EndpointOf = fn(&Server) -> Result<Endpoint>;

fn smtp(server: &Server) -> Result<Endpoint> {
    Ok(Endpoint::Smtp(u16::try_from(server.state["smtp_port"].as_u64().context("smtp_port")?)?))
}

fn http(server: &Server) -> Result<Endpoint> {
    Ok(Endpoint::Http(server.url().to_owned()))
}

/// Runs one phase of load, and checks that the database has every accepted mail.
async fn figures(server: &Server, load: Load, endpoint: EndpointOf, promised: Option<f64>) -> Result<Value> {
    let key = server.state["service_role_key"].as_str().context("service_role_key")?;
    let endpoint = endpoint(server)?;
    let (before, tried) = (server.count("mail.messages")?, server.count("mail.events")?);
    let end = Instant::now() + Duration::from_secs(u64::from(load.seconds));
    let client = |_| tokio::spawn(client::run(endpoint.clone(), key.to_owned(), end));
    let clients: Vec<_> = (0..load.connections).map(client).collect();
    let begun = Instant::now();
    let mut took = Vec::new();
    for client in clients {
        took.extend(client.await??);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let stored = server.count("mail.messages")? - before;
    ensure!(stored >= took.len() as u64, "{} mails were accepted and {stored} are there", took.len());
    let at = |part: f64| {
        took.get((took.len() as f64 * part) as usize).map(|took| took.as_micros() as f64 / 1000.0)
    };
    let per_second = took.len() as f64 / elapsed;
    Ok(json!({
        "per_second": per_second.round(),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
        "mails": took.len(),
        "attempts_meanwhile": server.count("mail.events")? - tried,
        "promised": promised,
        "holds": promised.map(|promised| per_second >= promised),
    }))
}
