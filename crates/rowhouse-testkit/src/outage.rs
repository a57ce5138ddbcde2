//! The relay is unreachable while mails are submitted, and the program with its worker is killed with -9: once during
//! the outage, then during delivery. Afterwards every accepted mail has arrived; twice only those in delivery at a
//! kill, and then with the same Message-ID.

mod ledger;
mod sender;
mod sink;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::crash::Victim;
use crate::program::Program;
use crate::until_some;
pub use ledger::Duplicate;
use ledger::Ledger;
use sender::Endpoints;
use sink::Sink;

/// Longest wait for a start, or for a backlog to move, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Mails that are delivered before the outage, so that connections to the relay exist.
const BEFORE: u32 = 4;

/// A campaign: length of the outage and number of mails.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The program.
    pub binary: PathBuf,
    /// A project; it is copied.
    pub project: PathBuf,
    /// Mails in all.
    pub mails: u32,
    /// Length of the outage; mails are submitted evenly over this time.
    pub outage: Duration,
    /// Kills during delivery, besides the one during the outage.
    pub later_kills: u32,
}

/// One kill of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Kill {
    /// Whether the relay was unreachable or back.
    pub relay: &'static str,
    /// Mails accepted until then, and arrived.
    pub accepted: usize,
    /// Mails that had arrived.
    pub arrived: usize,
    /// Mails in delivery at the kill, by the database.
    pub in_flight: Vec<u32>,
    /// From the kill until the program was healthy again.
    pub recovery_ms: u64,
}

/// The result of a campaign.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OutageReport {
    /// Mails to send.
    pub sent: u32,
    /// Mails that were accepted.
    pub accepted: usize,
    /// Of those, how many were accepted during the outage.
    pub accepted_during_outage: usize,
    /// Failed submissions, around kills, that were repeated.
    pub refused: usize,
    /// Length of the outage.
    pub outage_seconds: f64,
    /// From the relay's return until nothing was left to deliver, kills included.
    pub drained_seconds: f64,
    /// Mails that arrived.
    pub delivered: usize,
    /// Mails as the relay counts them, duplicates included.
    pub received: usize,
    /// Recipients by state in the end.
    pub states: std::collections::BTreeMap<String, i64>,
    /// Every kill.
    pub kills: Vec<Kill>,
    /// Mails that arrived more than once.
    pub duplicates: Vec<Duplicate>,
    /// Mails that were accepted and never arrived.
    pub lost: Vec<u32>,
    /// Why the campaign ended early, if it did.
    pub failure: Option<String>,
}

impl Campaign {
    /// Runs the campaign and calls `on_event` for each step. Ends early at the first failure, which the report names.
    pub async fn run(&self, on_event: impl Fn(&str)) -> OutageReport {
        let (ledger, mut report) = (Arc::new(Ledger::default()), OutageReport::default());
        if let Err(error) = self.drive(&ledger, &mut report, on_event).await {
            report.failure = Some(format!("{error:#}"));
        }
        let entries = ledger.entries();
        report.sent = self.mails;
        report.accepted = entries.accepted.len();
        report.refused = entries.refused;
        report.delivered = entries.arrived.len();
        report.received = entries.arrived.values().map(Vec::len).sum();
        report.duplicates = entries.duplicates();
        report.lost = entries.lost();
        report
    }

    async fn drive(
        &self,
        ledger: &Arc<Ledger>,
        report: &mut OutageReport,
        on_event: impl Fn(&str),
    ) -> Result<()> {
        let port = sink::free_port()?;
        let mut program = Program::start(&self.binary, &self.project, relay(port))?;
        program.require_well(TIMEOUT, None).await?;
        let endpoints = endpoints(&program)?;
        let sink = Sink::start(port, ledger).await?;
        sender::send(endpoints.clone(), 0..BEFORE, Duration::ZERO, Arc::clone(ledger)).await?;
        settled(&program, "the first mails are sent").await?;
        sink.kill().await?;
        let away = Instant::now();
        on_event("the relay is away");
        let pace = self.outage / (self.mails - BEFORE);
        let sending = sender::send(endpoints, BEFORE..self.mails, pace, Arc::clone(ledger));
        let sending = tokio::spawn(sending);
        let half = (self.mails / 2) as usize;
        let timeout = TIMEOUT + self.outage;
        ledger.until("half of the mails are accepted", timeout, |now| now.accepted.len() >= half).await?;
        report.kills.push(kill(&mut program, ledger, "away").await?);
        on_event("killed while the relay is away; well again");
        sending.await??;
        tokio::time::sleep_until((away + self.outage).into()).await;
        report.accepted_during_outage = ledger.entries().accepted.len();
        let _sink = Sink::start(port, ledger).await?;
        report.outage_seconds = away.elapsed().as_secs_f64();
        let back = Instant::now();
        on_event("the relay is back");
        for nth in 1..=self.later_kills {
            let part = (self.mails * nth / (self.later_kills + 1)) as usize;
            let arrived = format!("{part} mails have arrived");
            ledger.until(&arrived, TIMEOUT, |now| now.arrived.len() >= part).await?;
            report.kills.push(kill(&mut program, ledger, "back").await?);
            on_event("killed while delivering; well again");
        }
        settled(&program, "everything is delivered").await?;
        report.drained_seconds = back.elapsed().as_secs_f64();
        report.states = states(&program).await?;
        program.terminate(TIMEOUT).await
    }
}

impl OutageReport {
    /// Requires that nothing was lost, and that duplicates were in delivery at a kill and have the same Message-ID.
    ///
    /// # Errors
    /// What went wrong.
    pub fn require_success(&self, campaign: &Campaign) -> Result<()> {
        ensure!(self.failure.is_none(), "{:?}", self.failure);
        ensure!(self.lost.is_empty(), "lost: {:?}", self.lost);
        let all = campaign.mails as usize;
        ensure!(
            self.accepted == all && self.delivered == all,
            "{} accepted, {} arrived",
            self.accepted,
            self.delivered
        );
        let strange = |one: &&Duplicate| one.in_flight.is_none() || one.message_ids.len() != 1;
        let strange: Vec<_> = self.duplicates.iter().filter(strange).collect();
        ensure!(strange.is_empty(), "duplicates: {strange:?}");
        ensure!(self.states.keys().eq(["sent"]), "states in the end: {:?}", self.states);
        ensure!(self.kills.len() == campaign.later_kills as usize + 1, "{} kills", self.kills.len());
        Ok(())
    }
}

/// Settings with the sink as relay.
fn relay(port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("ROWHOUSE_MAIL__TRANSPORT", "relay".to_owned()),
        ("ROWHOUSE_MAIL__RELAY_HOST", "127.0.0.1".to_owned()),
        ("ROWHOUSE_MAIL__RELAY_PORT", port.to_string()),
        ("ROWHOUSE_MAIL__RELAY_TLS", "none".to_owned()),
    ]
}

fn endpoints(program: &Program) -> Result<Endpoints> {
    let smtp_port = program.state()?["smtp_port"].as_u64().context("smtp_port in state.json")?;
    Ok(Endpoints { access: program.access()?, smtp_port: u16::try_from(smtp_port)? })
}

/// kill -9, recording of mails in delivery, and the next start.
async fn kill(program: &mut Program, ledger: &Ledger, relay: &'static str) -> Result<Kill> {
    let killed = Instant::now();
    program.kill(Victim::Rowhouse)?;
    let (accepted, arrived) = {
        let entries = ledger.entries();
        (entries.accepted.len(), entries.arrived.len())
    };
    // Its PostgreSQL survives, and has the deliveries that had begun.
    let sql = "select m.subject from mail.recipients r join mail.messages m on m.id = r.message where r.state = 'sending'";
    let rows = database(program).await?.query(sql, &[]).await?;
    let in_flight: Vec<u32> = rows.iter().filter_map(|row| ledger::number(row.get(0))).collect();
    ledger.note(|entries| {
        let excuse = format!("being delivered at a kill, the relay {relay}");
        entries.in_flight.extend(in_flight.iter().map(|mail| (*mail, excuse.clone())));
    });
    program.up()?;
    program.require_well(TIMEOUT, None).await?;
    let recovery_ms = u64::try_from(killed.elapsed().as_millis())?;
    Ok(Kill { relay, accepted, arrived, in_flight, recovery_ms })
}

/// Waits until no recipient is left to be delivered.
async fn settled(program: &Program, what: &str) -> Result<()> {
    let client = database(program).await?;
    let settled = "select not exists (select from mail.recipients where finished_at is null)";
    let asked = async || match client.query_one(settled, &[]).await {
        Ok(row) => row.get::<_, bool>(0).then_some(Ok(())),
        Err(error) => Some(Err(error)),
    };
    Ok(until_some(what, 2 * TIMEOUT, asked).await?)
}

async fn states(program: &Program) -> Result<std::collections::BTreeMap<String, i64>> {
    let sql = "select state, count(*) from mail.recipients group by state";
    let rows = database(program).await?.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A connection as the superuser.
async fn database(program: &Program) -> Result<tokio_postgres::Client> {
    let state = program.state()?;
    let url = state["db_url"].as_str().context("db_url in state.json")?;
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
