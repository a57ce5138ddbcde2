//! `cargo xtask bench schema`: how long a reload of a large schema takes, and whether other requests are affected.
//! Times run from the NOTIFY to the first answer of a table that came with it, while other requests go on.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::process::{Memory, resident_kib};
use super::report::{self, Limit, dated_document};
use super::server::Server;

/// Tables made in one transaction: each takes locks, whose number PostgreSQL bounds.
const BATCH: u32 = 100;
/// Longest a reload may take, in milliseconds.
const MOST_MS: f64 = 2_000.0;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of polling, so that polling does not affect the measurement.
const PAUSE: Duration = Duration::from_millis(5);

/// How large the schema is and how often it is reloaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// With a primary key, a foreign key and five columns each.
    pub(crate) tables: u32,
    /// Reloads, of which the median counts.
    pub(crate) rounds: u32,
}

/// The result.
struct Found {
    reload_ms: Vec<f64>,
    answers: u64,
    failures: u64,
    before_kib: u64,
    after_kib: u64,
}

/// Builds, measures, prints and writes `docs/evidence/bench-schema.json`.
pub(crate) fn run(root: &Path, size: Size) -> Result<bool> {
    super::build(root)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(measure(root, size))?;
    let (document, holds) = found.document(size, root)?;
    println!("{}", serde_json::to_string_pretty(&document)?);
    report::write(&document, &root.join("docs/evidence/bench-schema.json"))?;
    crate::generate::write(root)?;
    Ok(holds)
}

async fn measure(root: &Path, size: Size) -> Result<Found> {
    let folder = tempfile::tempdir().context("a folder for the project")?;
    let (mut server, _) = Server::first_start(root, folder.path())?;
    let before_kib = resident_kib(server.pid(), Memory::Now)?;
    make(&server, size.tables)?;
    let front = Front::of(&server)?;
    front.reload(&server, "first").await?;
    let (stop, stopped) = watch::channel(false);
    let (answers, reload_ms) = tokio::join!(front.keep_asking(stopped), async {
        let times = rounds(&front, &server, size.rounds).await;
        stop.send_replace(true);
        times
    });
    let (answers, failures) = answers;
    let after_kib = resident_kib(server.pid(), Memory::Now)?;
    server.stop()?;
    Ok(Found { reload_ms: reload_ms?, answers, failures, before_kib, after_kib })
}

async fn rounds(front: &Front, server: &Server, rounds: u32) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for round in 1..=rounds {
        times.push(front.reload(server, &format!("round_{round}")).await?);
        eprintln!("reload {round} of {rounds}: {:.0} ms", times.last().copied().unwrap_or_default());
    }
    Ok(times)
}

/// Tables in a chain of foreign keys; a view and a function for every fiftieth.
fn make(server: &Server, tables: u32) -> Result<()> {
    for first in (0..tables).step_by(BATCH as usize) {
        let batch: String = (first..tables.min(first + BATCH)).map(table).collect();
        server.run_as_superuser(&batch)?;
    }
    server.run_as_superuser("grant select on all tables in schema public to service_role")
}

fn table(n: u32) -> String {
    let parent = n.saturating_sub(1);
    let mut sql = format!(
        "create table public.large_{n} (id bigint primary key, title text not null default 'x', rank int,
           created_at timestamptz not null default now(),
           parent bigint constraint large_{n}_parent_fkey references public.large_{parent} (id));"
    );
    if n.is_multiple_of(50) {
        sql.push_str(&format!(
            "create view public.view_{n} with (security_invoker = true) as select id, title from public.large_{n};
             create function public.find_{n}(low int) returns setof public.large_{n} language sql stable
               as $$ select * from public.large_{n} where rank >= low $$;"
        ));
    }
    sql
}

/// The data API with the service role's key.
struct Front {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Front {
    fn of(server: &Server) -> Result<Self> {
        let key = server.state["service_role_key"].as_str().context("service_role_key")?.to_owned();
        let base = format!("{}/rest/v1", server.url());
        Ok(Self { http: reqwest::Client::new(), base, key })
    }

    async fn is_served(&self, table: &str) -> bool {
        let request = self.http.get(format!("{}/{table}?limit=1", self.base)).bearer_auth(&self.key);
        request.send().await.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK)
    }

    /// Makes a table with a notice, and waits until it is served; in milliseconds from the notice on.
    async fn reload(&self, server: &Server, name: &str) -> Result<f64> {
        server.run_as_superuser(&format!(
            "create table public.{name} (id bigint primary key); grant select on public.{name} to service_role;
             notify pgrst, 'reload schema'"
        ))?;
        let started = Instant::now();
        while !self.is_served(name).await {
            anyhow::ensure!(started.elapsed() < TIMEOUT, "{name} is not served within {TIMEOUT:?}");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(started.elapsed().as_secs_f64() * 1000.0)
    }

    /// Requests a table that always exists; returns the number of answers, and of those other than 200.
    async fn keep_asking(&self, stopped: watch::Receiver<bool>) -> (u64, u64) {
        let (mut answers, mut failures) = (0, 0);
        while !*stopped.borrow() {
            failures += u64::from(!self.is_served("large_0").await);
            answers += 1;
            tokio::time::sleep(PAUSE).await;
        }
        (answers, failures)
    }
}

impl Found {
    fn document(mut self, size: Size, root: &Path) -> Result<(Value, bool)> {
        self.reload_ms.sort_by(f64::total_cmp);
        let median = self.reload_ms.get(self.reload_ms.len() / 2).copied().map(f64::round);
        let limits = [
            Limit { what: "reload of a large schema", unit: "ms", most: MOST_MS, measured: median },
            Limit {
                what: "answers but 200 while it reloads",
                unit: "answers",
                most: 0.0,
                measured: Some(self.failures as f64),
            },
        ];
        let holds = limits.iter().all(Limit::holds);
        let mut document = dated_document("bench-schema", "cargo xtask bench schema", root);
        document["parameters"] =
            json!({ "tables": size.tables, "foreign_keys": size.tables, "rounds": size.rounds });
        document["limits"] = limits.iter().map(Limit::json).collect();
        document["figures"] = json!({
            "reload_ms": self.reload_ms.iter().map(|ms| ms.round()).collect::<Vec<_>>(),
            "answers": self.answers,
            "rss_kib": { "small_schema": self.before_kib, "large_schema": self.after_kib },
        });
        document["holds"] = holds.into();
        Ok((document, holds))
    }
}
