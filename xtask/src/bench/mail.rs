//! `cargo xtask bench mail`: how many mails a second are taken in over SMTP, each answered only when it is durable. One
//! run captures; the other queues for a relay that does not answer, while the worker tries to deliver.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::server::Server;
use super::{build, report};
use crate::check::output;

/// Mails a second that are promised.
const ACCEPT: f64 = 1500.0;
const CAPTURE: f64 = 1000.0;
/// Sends mails to a port where nobody listens.
const RELAY: &[(&str, &str)] = &[
    ("ROWHOUSE_MAIL__TRANSPORT", "relay"),
    ("ROWHOUSE_MAIL__RELAY_HOST", "127.0.0.1"),
    ("ROWHOUSE_MAIL__RELAY_PORT", "9"),
    ("ROWHOUSE_MAIL__RELAY_TLS", "none"),
];

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
    let capture = figures(&server, load, CAPTURE).await?;
    server.restart(RELAY)?;
    let accept = figures(&server, load, ACCEPT).await?;
    server.stop()?;
    Ok(json!({
        "name": "bench-mail",
        "command": "cargo xtask bench mail",
        "date": output("date", &["--utc", "+%Y-%m-%dT%H:%M:%SZ"], root),
        "revision": output("git", &["rev-parse", "HEAD"], root),
        "dirty": !output("git", &["status", "--porcelain", "--untracked-files=no"], root).is_empty(),
        "machine": { "cpus": output("nproc", &[], root), "kernel": output("uname", &["-sr"], root) },
        "parameters": { "seconds": load.seconds, "connections": load.connections, "message_bytes": message().len() },
        "holds": capture["holds"] == true && accept["holds"] == true,
        "capture": capture,
        "accept": accept,
    }))
}

/// One phase of load, and whether the database has every mail that was said to be durable.
async fn figures(server: &Server, load: Load, promised: f64) -> Result<Value> {
    let port = u16::try_from(server.state["smtp_port"].as_u64().context("smtp_port")?)?;
    let key = server.state["service_role_key"].as_str().context("service_role_key")?;
    let before = server.count("mail.messages")?;
    let end = Instant::now() + Duration::from_secs(u64::from(load.seconds));
    let clients: Vec<_> =
        (0..load.connections).map(|_| tokio::spawn(client(port, key.to_owned(), end))).collect();
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
        "promised": promised,
        "holds": per_second >= promised,
    }))
}

fn message() -> String {
    let body = "A line of a letter, as long as such lines usually are in mails.\r\n".repeat(12);
    format!(
        "From: Shop <shop@x.example>\r\nTo: Ada <ada@y.example>\r\nSubject: Your order\r\n\r\n{body}.\r\n"
    )
}

/// Hands in mail after mail on one connection; how long each took.
async fn client(port: u16, key: String, end: Instant) -> Result<Vec<Duration>> {
    let mut line = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    line.get_ref().set_nodelay(true)?;
    let sign_in = STANDARD.encode(format!("\0service_role\0{key}"));
    expect(&mut line, "220").await?;
    say(&mut line, "EHLO bench\r\n").await?;
    expect(&mut line, "250").await?;
    say(&mut line, &format!("AUTH PLAIN {sign_in}\r\n")).await?;
    expect(&mut line, "235").await?;
    let message = message();
    let mut took = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        say(&mut line, "MAIL FROM:<shop@x.example>\r\nRCPT TO:<ada@y.example>\r\nDATA\r\n").await?;
        for code in ["250", "250", "354"] {
            expect(&mut line, code).await?;
        }
        say(&mut line, &message).await?;
        expect(&mut line, "250").await?;
        took.push(begun.elapsed());
    }
    Ok(took)
}

async fn say(line: &mut BufReader<TcpStream>, words: &str) -> Result<()> {
    Ok(line.get_mut().write_all(words.as_bytes()).await?)
}

/// Reads one reply, of one line or several.
async fn expect(line: &mut BufReader<TcpStream>, code: &str) -> Result<()> {
    loop {
        let mut answer = String::new();
        line.read_line(&mut answer).await?;
        ensure!(answer.starts_with(code), "expected {code}, got {answer:?}");
        if answer.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
