//! What an interrupted run has done before: which migrations, by name.

use std::sync::atomic::{AtomicBool, Ordering};

use rowhouse_db::migrate::{self, Migration, Plan, Planned};
use rowhouse_module::CannotRun;
use tokio_postgres::Client;

use crate::platform;

/// Adds it to the error of a run that was interrupted; `before` is the plan from before the run.
pub(super) async fn told<T>(
    watcher: &Client,
    migrations: &[Migration],
    before: &Plan,
    interrupted: &AtomicBool,
    run: Result<T, CannotRun>,
) -> Result<T, CannotRun> {
    let mut error = match run {
        Err(error) if interrupted.load(Ordering::Relaxed) => error,
        run => return run,
    };
    let now = migrate::plan(watcher, &platform::migrations(), migrations).await?;
    error.0.push(changes(before, &now));
    Err(error)
}

fn changes(before: &Plan, now: &Plan) -> String {
    let applied = differing(now, before);
    let taken_back = differing(before, now);
    let pending: Vec<&str> = now.pending().collect();
    let parts =
        [("applied in this run", applied), ("taken back in this run", taken_back), ("pending", pending)];
    let named = parts.iter().filter(|(_, names)| !names.is_empty());
    let named: Vec<String> = named.map(|(what, names)| format!("{what}: {}", names.join(", "))).collect();
    let is_same = parts[..2].iter().all(|(_, names)| names.is_empty());
    let nothing = is_same.then(|| "this run has changed nothing".to_owned());
    nothing.into_iter().chain(named).collect::<Vec<_>>().join("; ")
}

/// Those that are applied in the one and not in the other.
fn differing<'a>(one: &'a Plan, other: &Plan) -> Vec<&'a str> {
    let applied =
        |plan: &'a Plan| plan.platform.iter().chain(&plan.project).filter(|planned| planned.applied);
    let is_applied = |name: &str| {
        let all = other.platform.iter().chain(&other.project);
        all.clone().any(|planned: &Planned| planned.applied && planned.name == name)
    };
    applied(one).map(|planned| planned.name.as_str()).filter(|name| !is_applied(name)).collect()
}
