//! How old the newest backup of pgBackRest is, as a metric, and whether it answers, as a health check. When backups are made is
//! its own schedule's decision.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::gauge;
use rowhouse_http::{BackgroundTask, Heartbeat};
use rowhouse_module::{Assembly, HealthCheck, Weight};

use super::PgBackRest;

/// How often it is asked: its repository may be a bucket.
const PAUSE: Duration = Duration::from_mins(10);

/// Adds the task and its health check.
pub(crate) fn start(assembly: &mut Assembly, adapter: PgBackRest) {
    let trouble: Arc<Mutex<Option<String>>> = Arc::default();
    let asked = Arc::clone(&trouble);
    assembly.check(HealthCheck::new("pgbackrest", Weight::Degraded, move || {
        asked.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }));
    assembly.task(BackgroundTask::new("backup.pgbackrest", move |heartbeat| {
        let (adapter, trouble) = (adapter.clone(), Arc::clone(&trouble));
        async move {
            tokio::select! {
                () = run(&adapter, &trouble, &heartbeat) => {}
                () = heartbeat.stopping() => {}
            }
        }
    }));
}

async fn run(adapter: &PgBackRest, trouble: &Mutex<Option<String>>, heartbeat: &Heartbeat) {
    loop {
        let found = heartbeat.idle(adapter.backups()).await;
        let why = match found {
            Ok(backups) => {
                let good = backups.iter().filter(|backup| backup.is_good());
                match good.map(super::Backup::started_at).max() {
                    None => Some(format!("the stanza {} has no backup", adapter.stanza())),
                    Some(newest) => {
                        #[expect(clippy::cast_precision_loss, reason = "exact until the year 285 million")]
                        gauge!("rowhouse_backup_last_success_timestamp_seconds")
                            .set(newest.unix_timestamp() as f64);
                        None
                    }
                }
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = &why {
            tracing::warn!("{why}; again in {PAUSE:?}");
        }
        *trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
        heartbeat.sleep(PAUSE).await;
    }
}
