//! Tripwires: two tenants that nobody uses. Again and again one of them looks for the other's rows, as its requests would. A row
//! that it finds is a leak: metric, log, audit log and health tell of it. Leaves making tenants and rows to `prove::wire`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use rowhouse_audit::Entry;
use rowhouse_db::flight::{Access, End, RequestContext};
use rowhouse_db::{Control, Database, DbError, Transaction};
use rowhouse_http::{BackgroundTask, Heartbeat};
use rowhouse_kernel::{Caller, Operation, Secret, SharedClock, SharedRng};
use rowhouse_module::{Assembly, CannotRun, HealthCheck, Metric, Weight};
use serde_json::{Map, Value};

use crate::prove::Plan;
use crate::prove::wire::{Wire, Wires, prepare};
use crate::settings::RlsSettings;

pub(crate) const METRICS: [Metric; 4] = [
    Metric {
        name: "rowhouse_rls_probes_total",
        help: "Looks of one tripwire tenant for rows of the other, by outcome: held, leak or unproven.",
    },
    Metric {
        name: "rowhouse_rls_probe_leaks_total",
        help: "Rows of one tripwire tenant that the other has found.",
    },
    Metric {
        name: "rowhouse_rls_probe_unproven",
        help: "Relations in which no look of the last round could show anything, and which rls.unproven does not name.",
    },
    Metric {
        name: "rowhouse_rls_probe_last_success_timestamp_seconds",
        help: "When the last round of looks ended in which each could be judged.",
    },
];

/// How long one round may take.
const ROUND_LIMIT: Duration = Duration::from_mins(2);
/// After how many rounds tenants, sessions and rows are looked for again: they may have been deleted, and tables added.
const ROUNDS: u32 = 60;
/// Rounds that may fail to end before health tells of it.
const PATIENCE: u32 = 3;

/// What a round has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Relations in which the owner's row was found by the owner only.
    pub held: usize,
    /// Relations in which the other found it.
    pub leaks: Vec<String>,
    /// Relations of which nothing is known, with the reason.
    pub unproven: Vec<(String, String)>,
}

/// The looks, and what is known of the last round.
pub struct Tripwires {
    database: Database,
    url: Secret,
    plan: Plan,
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Result<Round, String>>,
    /// Leaks that the audit log has.
    told: BTreeSet<String>,
}

impl Tripwires {
    /// Over an open database; `url` is for making tenants and rows.
    #[must_use]
    pub fn new(database: Database, url: Secret, plan: Plan, clock: SharedClock) -> Self {
        // An alert on a missing series would not fire.
        counter!("rowhouse_rls_probe_leaks_total").absolute(0);
        Self { database, url, plan, clock, state: Mutex::default() }
    }

    /// Prepares and looks once.
    ///
    /// # Errors
    /// The database's, and declarations of what does not exist.
    pub async fn round(&self) -> Result<Round, CannotRun> {
        let wires = self.prepare().await?;
        self.look(&wires).await
    }

    async fn prepare(&self) -> Result<Wires, CannotRun> {
        let client = rowhouse_db::connect(&self.url).await?;
        prepare(&client, &self.plan).await
    }

    async fn look(&self, wires: &Wires) -> Result<Round, CannotRun> {
        let mut round = Round { unproven: wires.missing.clone(), ..Round::default() };
        for wire in &wires.wires {
            let found = self.finds(&wires.other, wire).await;
            let control = self.finds(&wires.owner, wire).await;
            match (found, control) {
                (Ok(true), _) => round.leaks.push(wire.relation.clone()),
                (Ok(false), Ok(true)) => round.held += 1,
                (Ok(false), Ok(false)) => {
                    round
                        .unproven
                        .push((wire.relation.clone(), "its owner does not find the row".to_owned()));
                }
                (Err(error), _) | (_, Err(error)) => {
                    round.unproven.push((wire.relation.clone(), error.to_string()));
                }
            }
        }
        let accepted = &self.plan.settings.unproven;
        let is_accepted = |name: &str| accepted.iter().any(|(_, one)| one.relation == name);
        round.unproven.retain(|(relation, _)| !is_accepted(relation));
        self.conclude(&round).await?;
        Ok(round)
    }

    /// As a request of the caller's would.
    async fn finds(&self, caller: &Caller, wire: &Wire) -> Result<bool, DbError> {
        let context = RequestContext {
            caller,
            address: None,
            method: "GET",
            path: "/",
            headers: "{}",
            cookies: "{}",
            access: Access::ReadOnly,
            search_path: &self.plan.search_path,
            time_zone: None,
            before: None,
            isolation: None,
            end: End::Commit,
        };
        Ok(!self.database.data.fly(&context, &wire.query).await?.is_empty())
    }

    /// Counts, and writes leaks that are new into the audit log.
    async fn conclude(&self, round: &Round) -> Result<(), CannotRun> {
        let count = |outcome: &'static str, by: usize| {
            counter!("rowhouse_rls_probes_total", "outcome" => outcome).increment(by as u64);
        };
        count("held", round.held);
        count("leak", round.leaks.len());
        count("unproven", round.unproven.len());
        counter!("rowhouse_rls_probe_leaks_total").increment(round.leaks.len() as u64);
        #[expect(clippy::cast_precision_loss, reason = "relations, and seconds of this century")]
        let (unproven, now) = (round.unproven.len() as f64, self.clock.now().unix_timestamp() as f64);
        gauge!("rowhouse_rls_probe_unproven").set(unproven);
        gauge!("rowhouse_rls_probe_last_success_timestamp_seconds").set(now);
        let new: Vec<String> = {
            let mut state = self.state();
            let new = round.leaks.iter().filter(|leak| !state.told.contains(*leak)).cloned().collect();
            state.told = round.leaks.iter().cloned().collect();
            state.last = Some(Ok(round.clone()));
            new
        };
        for relation in &new {
            tracing::error!(
                relation,
                "a tripwire tenant has found a row of the other: tenants reach each other's rows"
            );
        }
        if new.is_empty() { Ok(()) } else { Ok(tell(self.database.control.clone(), new).await?) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What needs attention.
    ///
    /// # Errors
    /// Leaks, what is unproven, and why the last round did not end.
    pub fn trouble(&self) -> Result<(), String> {
        match &self.state().last {
            None => Ok(()),
            Some(Err(reason)) => Err(format!("the tripwires cannot be looked at: {reason}")),
            Some(Ok(round)) if !round.leaks.is_empty() => {
                let leaks = round.leaks.join(", ");
                Err(format!("tenants reach each other's rows in {leaks}; run: rowhouse rls prove"))
            }
            Some(Ok(round)) => match round.unproven.first() {
                None => Ok(()),
                Some((relation, reason)) => Err(format!(
                    "{} of the tripwires show nothing, among them {relation}: {reason}",
                    round.unproven.len()
                )),
            },
        }
    }

    async fn watch(self: Arc<Self>, heartbeat: Heartbeat, interval: Duration, rng: SharedRng) {
        let (mut prepared, mut failed) = (None, 0_u32);
        loop {
            let step = Arc::clone(&self).step(prepared.take());
            match heartbeat.within(ROUND_LIMIT, step).await {
                Ok(Ok(next)) => (prepared, failed) = (next, 0),
                Ok(Err(error)) => self.failed(&mut failed, error.to_string()),
                Err(late) => self.failed(&mut failed, late.to_string()),
            }
            heartbeat.sleep(jittered(interval, &rng)).await;
        }
    }

    /// One round; what was prepared for it goes on to the next, some times, unless a look has shown nothing: somebody may have
    /// deleted what is looked for.
    async fn step(self: Arc<Self>, prepared: Option<Prepared>) -> Result<Option<Prepared>, CannotRun> {
        let prepared = match prepared {
            Some(prepared) => prepared,
            None => Prepared { wires: self.prepare().await?, rounds: ROUNDS },
        };
        let round = self.look(&prepared.wires).await?;
        let rounds = prepared.rounds - 1;
        let is_good = rounds > 0 && round.unproven.is_empty();
        Ok(is_good.then_some(Prepared { rounds, ..prepared }))
    }

    fn failed(&self, times: &mut u32, reason: String) {
        *times = times.saturating_add(1);
        if *times >= PATIENCE {
            self.state().last = Some(Err(reason));
        }
    }
}

/// What is looked for, and in how many more rounds.
struct Prepared {
    wires: Wires,
    rounds: u32,
}

/// Writes hits into the audit log.
async fn tell(control: Control, leaks: Vec<String>) -> Result<(), DbError> {
    let write = async move |tx: &Transaction<'_>| {
        for relation in &leaks {
            let details = Map::from_iter([("remedy".to_owned(), Value::from("rowhouse rls prove"))]);
            let entry = Entry {
                source: "isolation",
                action: "tripwire_hit",
                target_kind: "relation",
                target_id: relation,
                tenant: None,
                details,
            };
            rowhouse_audit::write(tx, entry).await?;
        }
        Ok::<(), DbError>(())
    };
    control.run_tx(&Operation::system("isolation.tripwire"), write).await
}

/// A little less or more, so that processes do not look at the same time.
fn jittered(interval: Duration, rng: &SharedRng) -> Duration {
    let mut byte = [0_u8];
    rng.fill(&mut byte);
    interval.mul_f64(0.8 + 0.4 * f64::from(byte[0]) / 255.0)
}

/// Adds task and check, if the switch is on.
pub(crate) fn add(assembly: &mut Assembly) -> Result<(), CannotRun> {
    let origin = &assembly.origin;
    let settings = origin.settings.get::<RlsSettings>();
    if !settings.tripwires || !origin.roles.api {
        return Ok(());
    }
    let (database, url) = (origin.database.clone(), origin.urls.direct.clone());
    let (plan, clock) = (Plan::of(&origin.settings)?, Arc::clone(&origin.clock));
    let (rng, interval) = (Arc::clone(&origin.rng), settings.tripwire_interval);
    let tripwires = Arc::new(Tripwires::new(database, url, plan, clock));
    let asked = Arc::clone(&tripwires);
    assembly.check(HealthCheck::new("isolation", Weight::Degraded, move || asked.trouble()));
    assembly.task(BackgroundTask::new("isolation.tripwires", move |heartbeat| {
        Arc::clone(&tripwires).watch(heartbeat, interval, Arc::clone(&rng))
    }));
    Ok(())
}

#[cfg(test)]
mod tests;
