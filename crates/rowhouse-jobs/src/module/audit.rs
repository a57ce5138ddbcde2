//! The module of the audit log: the task that seals entries, and the job that removes old ones.
//!
//! Writing, reading and verifying are left to `rowhouse-audit`, which lies below modules; who may read to
//! `rowhouse-tenancy`. Its migrations are those of the program.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use rowhouse_audit::{AuditSettings, BATCH, Step, seal};
use rowhouse_db::{Control, DbError, OwnSession};
use rowhouse_http::{BackgroundTask, Heartbeat};
use rowhouse_kernel::Operation;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{
    Assembly, BuiltInSchedule, HealthCheck, JobKind, Metric, Module, ModuleFuture, Weight,
};

use crate::builtin::Tidy;

const PRUNE: BuiltInSchedule =
    BuiltInSchedule { name: "audit.prune", cron: "7 * * * *", kind: "audit.prune" };
/// How often entries are sealed. A notification of each would make commits wait for each other: PostgreSQL has one lock
/// for all that notify.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long one step may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// An entry that has waited for longer, or no step for that long, is not well.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const WAITING: &str = "rowhouse_audit_unsealed_seconds";
const SEALED: &str = "rowhouse_audit_sealed_total";

/// The audit log.
#[derive(Debug, Clone, Copy)]
pub struct AuditModule;

impl Module for AuditModule {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<AuditSettings>()]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric {
                name: WAITING,
                help: "Age of the oldest entry of the audit log that is in no chain yet, in seconds; NaN if unknown.",
            },
            Metric { name: SEALED, help: "Entries of the audit log that this process has linked." },
        ]
    }

    fn kinds(&self, _: &Settings) -> Vec<JobKind> {
        vec![Tidy::kind(PRUNE.kind)]
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let settings = assembly.origin.settings.get::<AuditSettings>();
            let control = assembly.origin.database.control.clone();
            let ages = vec![settings.retention.as_secs_f64(), settings.minimum_retention.as_secs_f64()];
            assembly.kind(Tidy::kind(PRUNE.kind), Tidy::with(&control, "select audit.prune($1)", ages));
            assembly.schedule(PRUNE);
            let sealing = Arc::new(Sealing::new());
            let checked = Arc::clone(&sealing);
            assembly.check(HealthCheck::new("audit", Weight::Degraded, move || checked.check()));
            assembly.task(BackgroundTask::new("audit.sealer", move |heartbeat| {
                keep(control.clone(), Arc::clone(&sealing), heartbeat)
            }));
            Ok(())
        })
    }
}

/// How sealing goes.
#[derive(Debug)]
struct Sealing(Mutex<Last>);

/// The last step.
#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    waiting: Duration,
}

impl Sealing {
    fn new() -> Self {
        Self(Mutex::new(Last { at: Instant::now(), waiting: Duration::ZERO }))
    }

    fn set(&self, waiting: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Last { at: Instant::now(), waiting };
    }

    fn check(&self) -> Result<(), String> {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.elapsed() > LONGEST_WAIT {
            return Err(format!("entries could not be sealed for more than {LONGEST_WAIT:?}"));
        }
        if last.waiting > LONGEST_WAIT {
            return Err(format!("an entry has not been sealed for {} s", last.waiting.as_secs()));
        }
        Ok(())
    }
}

/// Seals until it is dropped.
async fn keep(control: Control, sealing: Arc<Sealing>, heartbeat: Heartbeat) {
    loop {
        heartbeat.beat();
        let has_more = match tokio::time::timeout(TIMEOUT, step(&control)).await {
            Ok(Ok(step)) => {
                gauge!(WAITING).set(step.waiting_seconds);
                counter!(SEALED).increment(u64::try_from(step.sealed).unwrap_or_default());
                sealing.set(Duration::try_from_secs_f64(step.waiting_seconds).unwrap_or_default());
                step.sealed >= BATCH
            }
            failed => {
                tracing::debug!(?failed, "the audit log cannot be sealed");
                gauge!(WAITING).set(f64::NAN);
                false
            }
        };
        if !has_more {
            heartbeat.sleep(INTERVAL).await;
        }
    }
}

async fn step(control: &Control) -> Result<Step, DbError> {
    let seal = async move |session: &OwnSession<'_>| seal(session).await;
    control.own_statement(&Operation::system("audit.seal"), seal).await
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_WAIT, Sealing};
    use std::time::Duration;

    #[test]
    fn entry_that_waits_too_long_is_a_failure() {
        let sealing = Sealing::new();
        assert_eq!(sealing.check(), Ok(()));
        sealing.set(LONGEST_WAIT);
        assert_eq!(sealing.check(), Ok(()));
        sealing.set(LONGEST_WAIT + Duration::from_secs(1));
        assert_eq!(sealing.check(), Err("an entry has not been sealed for 31 s".to_owned()));
    }
}
