//! Clients that write continuously, with their initial tokens, through every crash.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::CrashReport;
use super::ledger::{Found, Ledger};
use crate::program::Access;

/// Clients that insert and update rows; one more signs people up.
const WRITERS: usize = 6;
/// Pause of a writer between two requests.
const PACE: Duration = Duration::from_millis(15);
/// Pause between two sign-ups: development allows 600 auth requests per minute and address.
const SIGN_UP_PACE: Duration = Duration::from_millis(300);
/// A request that takes longer hangs. One sent to a program that is only starting waits for it.
const HANGING: Duration = Duration::from_secs(60);
const PAGE: usize = 1000;

/// Running clients.
pub(super) struct Load {
    site: Arc<Site>,
    clients: JoinSet<()>,
}

struct Site {
    access: Access,
    http: reqwest::Client,
    ledger: Ledger,
    /// Acknowledgements per writer.
    progress: [AtomicUsize; WRITERS],
    stop: AtomicBool,
}

impl Load {
    pub(super) async fn start(access: Access) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(HANGING).build()?;
        let site = Arc::new(Site {
            access,
            http,
            ledger: Ledger::default(),
            progress: Default::default(),
            stop: AtomicBool::new(false),
        });
        let mut clients = JoinSet::new();
        for number in 0..WRITERS {
            let token = site.first_sign_up(number).await?;
            clients.spawn(write(Arc::clone(&site), number, token));
        }
        clients.spawn(sign_up(Arc::clone(&site)));
        Ok(Self { site, clients })
    }

    /// Requires that every writer is acknowledged again, with the token from before the crash.
    pub(super) async fn require_progress(&self, timeout: Duration) -> Result<()> {
        let counts = || self.site.progress.each_ref().map(|count| count.load(Ordering::Relaxed));
        let (begun, before) = (Instant::now(), counts());
        while counts().iter().zip(&before).any(|(now, before)| now == before) {
            ensure!(begun.elapsed() < timeout, "writers stand still: {before:?}, then {:?}", counts());
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    /// Compares what was acknowledged with what is stored; returns the number of entries.
    pub(super) async fn verify(&self) -> Result<usize> {
        let promised = self.site.ledger.entries().clone();
        let found = self.site.look().await?;
        let mut entries = self.site.ledger.entries();
        entries.lost = promised.missing(&found);
        ensure!(entries.lost.is_empty(), "acknowledged and lost: {:?}", entries.lost);
        let surplus = entries.surplus(&found);
        ensure!(surplus.is_empty(), "written twice or never sent: {surplus:?}");
        Ok(promised.acknowledged())
    }

    pub(super) fn require_nothing_unexpected(&self) -> Result<()> {
        let entries = self.site.ledger.entries();
        ensure!(
            entries.unexpected.is_empty(),
            "{} unexpected answers, first {:?}",
            entries.unexpected.len(),
            entries.unexpected.first()
        );
        Ok(())
    }

    pub(super) fn fill(&self, report: &mut CrashReport) {
        let entries = self.site.ledger.entries();
        report.acknowledged_inserts = entries.inserted.len();
        report.acknowledged_updates = entries.done.len();
        report.acknowledged_sign_ups = entries.signed_up.len();
        report.refused = entries.refused;
        report.slowest_request_ms = u64::try_from(entries.slowest.as_millis()).unwrap_or(u64::MAX);
        report.lost.clone_from(&entries.lost);
    }

    pub(super) async fn stop(self) {
        self.site.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await;
    }
}

async fn write(site: Arc<Site>, number: usize, token: String) {
    let insert =
        |marker: &str| site.to(Method::POST, "/rest/v1/todos", &token).json(&json!({ "title": marker }));
    let mut count = 0;
    while !site.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(PACE).await;
        count += 1;
        let marker = format!("{number}-{count}");
        site.ledger.entries().sent.insert(marker.clone());
        if site.ask(&marker, insert(&marker)).await.is_none() {
            continue;
        }
        site.ledger.entries().inserted.insert(marker.clone());
        site.progress[number].fetch_add(1, Ordering::Relaxed);
        if count % 4 == 0 {
            site.finish(&marker, &token).await;
        }
    }
}

async fn sign_up(site: Arc<Site>) {
    let mut count = 0;
    while !site.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(SIGN_UP_PACE).await;
        count += 1;
        let address = format!("crash-{count}@example.com");
        if site.ask(&address, site.sign_up(&address)).await.is_some() {
            site.ledger.entries().signed_up.insert(address);
        }
    }
}

impl Site {
    fn to(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.access.url))
            .header("apikey", &self.access.anon_key)
            .bearer_auth(token)
    }

    fn sign_up(&self, address: &str) -> RequestBuilder {
        let person = json!({ "email": address, "password": "correct horse" });
        self.to(Method::POST, "/auth/v1/signup", &self.access.anon_key).json(&person)
    }

    async fn first_sign_up(&self, number: usize) -> Result<String> {
        let answer =
            self.sign_up(&format!("writer-{number}@example.com")).send().await?.error_for_status()?;
        let session: Value = answer.json().await?;
        session["access_token"].as_str().map(str::to_owned).context("an access token")
    }

    /// Sends a request and records the answer; its body if it acknowledges.
    async fn ask(&self, what: &str, request: RequestBuilder) -> Option<String> {
        let begun = Instant::now();
        let answer = send(request).await;
        let acknowledged = self.ledger.entries().take(what, begun.elapsed(), &answer);
        answer.ok().filter(|_| acknowledged).map(|(_, text)| text)
    }

    /// Marks a row as done; acknowledged only if the answer shows the row.
    async fn finish(&self, marker: &str, token: &str) {
        let update = self.to(Method::PATCH, &format!("/rest/v1/todos?title=eq.{marker}"), token);
        let update = update.header("prefer", "return=representation").json(&json!({ "done": true }));
        if let Some(text) = self.ask(marker, update).await {
            let shown = text.contains(marker) && text.contains("true");
            let mut entries = self.ledger.entries();
            if shown {
                entries.done.insert(marker.to_owned());
            } else {
                entries.unexpected.push(format!("update of {marker}: {text}"));
            }
        }
    }

    /// Reads every row and every user, bypassing row-level security.
    async fn look(&self) -> Result<Found> {
        let mut found = Found::default();
        let mut last = 0;
        loop {
            let rows = self
                .read(&format!("/rest/v1/todos?select=id,title,done&order=id&limit={PAGE}&id=gt.{last}"))
                .await?;
            let rows = rows.as_array().context("rows")?;
            let Some(end) = rows.last() else { break };
            last = end["id"].as_i64().context("an id")?;
            let title = |row: &Value| row["title"].as_str().unwrap_or_default().to_owned();
            found.done.extend(rows.iter().filter(|row| row["done"] == true).map(title));
            found.titles.extend(rows.iter().map(title));
        }
        found.addresses = self.addresses().await?;
        Ok(found)
    }

    async fn addresses(&self) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        for page in 1.. {
            let users = self.read(&format!("/auth/v1/admin/users?page={page}&per_page={PAGE}")).await?;
            let users = users["users"].as_array().context("users")?;
            found.extend(users.iter().filter_map(|user| user["email"].as_str().map(str::to_owned)));
            if users.len() < PAGE {
                break;
            }
        }
        Ok(found)
    }

    async fn read(&self, path: &str) -> Result<Value> {
        let (status, text) = send(self.to(Method::GET, path, &self.access.service_key)).await?;
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }
}

async fn send(request: RequestBuilder) -> reqwest::Result<(StatusCode, String)> {
    let response = request.send().await?;
    Ok((response.status(), response.text().await?))
}
