//! What happens by itself: trials end, what was deleted is erased, and calls of tenants are counted.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_crypto::Envelope;
use rowhouse_db::{Control, DbError, Heard, ListenHub, OwnSession};
use rowhouse_http::{BackgroundTask, Heartbeat, Meter};
use rowhouse_jobs::builtin::Tidy;
use rowhouse_kernel::Operation;
use rowhouse_module::{Assembly, BuiltInSchedule, JobKind};
use tokio::sync::broadcast::Receiver;

use crate::calls::{CHANNEL, Calls};
use crate::route::admin::{self, SettingAdmin, TenancyAdmin};
use crate::settings::TenancySettings;

/// How often calls are written: so many are lost if the process is killed.
const FLUSH_INTERVAL: Duration = Duration::from_secs(2);
/// Longest that writing them may take.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

const TRIALS: BuiltInSchedule =
    BuiltInSchedule { name: "tenancy.end-trials", cron: "*/5 * * * *", kind: "tenancy.end_trials" };
const ERASURE: BuiltInSchedule =
    BuiltInSchedule { name: "tenancy.erase", cron: "47 * * * *", kind: "tenancy.erase" };
const USAGE: BuiltInSchedule =
    BuiltInSchedule { name: "tenancy.prune-usage", cron: "27 3 * * *", kind: "tenancy.prune_usage" };

/// The kinds of these jobs.
pub(super) fn kinds() -> [JobKind; 3] {
    [TRIALS, ERASURE, USAGE].map(|schedule| Tidy::kind(schedule.kind))
}

/// Adds jobs, routes, and the meter of calls with its task.
pub(super) fn add(assembly: &mut Assembly) {
    let settings = assembly.origin.settings.get::<TenancySettings>();
    let control = assembly.origin.database.control.clone();
    let window = vec![settings.restore_window.as_secs_f64()];
    let kept = vec![settings.usage_retention.as_secs_f64()];
    for (schedule, tidy) in [
        (TRIALS, Tidy::new(&control, "select tenancy.end_trials()")),
        (ERASURE, Tidy::with(&control, "select tenancy.erase($1)", window)),
        (USAGE, Tidy::with(&control, "select tenancy.prune_usage($1)", kept)),
    ] {
        assembly.kind(Tidy::kind(schedule.kind), tidy);
        assembly.schedule(schedule);
    }
    let admin = TenancyAdmin { control: control.clone(), settings };
    assembly.admin("/plans", admin::plans, admin.clone());
    assembly.admin("/tenants", admin::quotas, admin.clone());
    assembly.admin("/tenants", admin::brandings, admin.clone());
    assembly.admin("/branding", admin::public_branding, admin);
    add_meter(assembly, control);
}

/// Secrets are sealed with what the module of identity provides, which starts later; without it there are no settings.
pub(super) fn add_settings(assembly: &mut Assembly) {
    if let Some(envelope) = assembly.find::<Envelope>() {
        let (control, rng) = (assembly.origin.database.control.clone(), Arc::clone(&assembly.origin.rng));
        assembly.admin("/tenants", admin::settings, SettingAdmin { control, envelope, rng });
    }
}

fn add_meter(assembly: &mut Assembly, control: Control) {
    let calls = Arc::new(Calls::new(Arc::clone(&assembly.origin.clock)));
    let meter: Arc<Calls> = Arc::clone(&calls);
    assembly.provide(Arc::new(Meter(meter)));
    let hub = assembly.hub();
    let task = BackgroundTask::new("tenancy.calls", move |heartbeat| {
        write_calls(Arc::clone(&calls), control.clone(), hub.clone(), heartbeat)
    });
    assembly.task(task.finish_within(FLUSH_LIMIT));
}

/// Writes calls at intervals, when quotas change, and once more at the end.
async fn write_calls(calls: Arc<Calls>, control: Control, hub: ListenHub, heartbeat: Heartbeat) {
    let mut heard = hub.subscribe();
    let mut was_written = true;
    loop {
        let written = heartbeat.within(FLUSH_LIMIT, flush(&calls, &control)).await;
        let failed = match written {
            Ok(done) => done.err().map(|error| error.to_string()),
            Err(late) => Some(late.to_string()),
        };
        if let Some(why) = failed.as_ref().filter(|_| was_written) {
            tracing::warn!(why, "API calls could not be written; they are kept");
        }
        was_written = failed.is_none();
        tokio::select! {
            () = heartbeat.stopping() => break,
            () = heartbeat.sleep(FLUSH_INTERVAL) => {}
            () = changed(&mut heard) => {}
        }
    }
    if let Err(error) = flush(&calls, &control).await {
        tracing::warn!(%error, "the last API calls could not be written");
    }
}

/// Waits for a change of quotas.
async fn changed(heard: &mut Receiver<Heard>) {
    loop {
        match heard.recv().await {
            Ok(Heard::Notice { channel, .. }) if channel == CHANNEL => return,
            Ok(_) => {}
            // The interval is short enough.
            Err(_) => std::future::pending().await,
        }
    }
}

async fn flush(calls: &Arc<Calls>, control: &Control) -> Result<(), DbError> {
    let calls = Arc::clone(calls);
    let flush = async move |session: &OwnSession<'_>| calls.flush(session).await;
    control.own_statement(&Operation::system("tenancy.count_calls"), flush).await
}
