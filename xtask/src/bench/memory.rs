//! Memory of the server's process while something large passes through it; each in a fresh process.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::process::{Memory, forget_peak, resident_kib};
use super::scenario::EMPTY;
use super::server::{Server, User};

/// Bytes of the large body, and of a title in it.
const BODY_BYTES: usize = 50_000_000;
const TITLE_BYTES: usize = 1000;
/// Rows of the large read.
const ROWS: usize = 1_000_000;

/// The most memory, in KiB, while a JSON array of [`BODY_BYTES`] is inserted.
pub(crate) async fn of_large_body(server: &mut Server, user: &User) -> Result<u64> {
    eprintln!("memory: a large body");
    let row: Value = json!({ "title": "x".repeat(TITLE_BYTES) });
    let rows = BODY_BYTES / (row.to_string().len() + 1);
    let body = Value::Array(vec![row; rows]).to_string();
    server.run_as_superuser(EMPTY)?;
    server.restart(&[("ROWHOUSE_REST__MAX_BODY_BYTES", "60000000")])?;
    forget_peak(server.pid())?;
    let post = |http: &reqwest::Client, url: &str| {
        http.post(format!("{url}/rest/v1/entries")).header("content-type", "application/json").body(body)
    };
    server.exchange(user, post).await?.bytes().await?;
    resident_kib(server.pid(), Memory::Peak)
}

/// The most memory over that of the idle process, in KiB, while [`ROWS`] rows are read as NDJSON.
pub(crate) async fn of_large_read(server: &mut Server, user: &User) -> Result<u64> {
    eprintln!("memory: a large read");
    let tenant = user.claims["tenant_id"].as_str().context("tenant_id")?;
    let fill = format!(
        "insert into public.entries (tenant_id, title) \
         select '{tenant}', 'entry number ' || n from generate_series(1, {ROWS}) n"
    );
    server.run_as_superuser(EMPTY)?;
    server.run_as_superuser(&fill)?;
    server.restart(&[("ROWHOUSE_REST__MAX_ROWS", "2000000")])?;
    let idle = resident_kib(server.pid(), Memory::Now)?;
    forget_peak(server.pid())?;
    let read = |http: &reqwest::Client, url: &str| {
        http.get(format!("{url}/rest/v1/entries?select=id,title,done"))
            .header("accept", "application/x-ndjson")
    };
    let mut response = server.exchange(user, read).await?;
    let mut lines = 0;
    while let Some(chunk) = response.chunk().await? {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count();
    }
    anyhow::ensure!(lines == ROWS, "{lines} lines instead of {ROWS}");
    Ok(resident_kib(server.pid(), Memory::Peak)?.saturating_sub(idle))
}
