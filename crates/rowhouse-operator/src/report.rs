//! What the commands of the user sync answer: states and results, with the names that deployment guides read, and
//! recommendations.

use rowhouse_tenancy::user_sync::{Trigger, UserSync};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::sync::{Done, LastSync};

/// More missing profiles than this in one sync have a cause.
const MANY: u64 = 100;
/// A sync that takes longer, in seconds, is slow.
const SLOW: f64 = 30.0;

/// How it stands.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct State {
    #[serde(flatten)]
    pub(crate) sync: UserSync,
    /// The same as `total_profiles`, under its other name; before the sync in the result of one.
    pub(crate) existing_profiles: i64,
    pub(crate) trigger: Trigger,
}

impl From<UserSync> for State {
    fn from(sync: UserSync) -> Self {
        Self { existing_profiles: sync.total_profiles, trigger: sync.trigger, sync }
    }
}

/// What a sync has done, and how it stands after it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    #[serde(flatten)]
    pub(crate) state: State,
    pub(crate) created_profiles: u64,
    pub(crate) failed_creations: u64,
    pub(crate) errors: Vec<String>,
    /// In seconds.
    pub(crate) execution_time: f64,
    pub(crate) created_user_ids: Vec<Uuid>,
    pub(crate) dry_run: bool,
    pub(crate) interrupted: bool,
}

impl Outcome {
    pub(crate) fn new(before: &UserSync, after: UserSync, done: Done, dry_run: bool) -> Self {
        let state = State { existing_profiles: before.total_profiles, ..State::from(after) };
        Self {
            state,
            created_profiles: done.created,
            failed_creations: done.failed,
            errors: done.errors,
            execution_time: done.seconds,
            created_user_ids: done.created_ids,
            dry_run,
            interrupted: done.is_interrupted,
        }
    }

    /// Whether nothing failed and nothing is left.
    pub(crate) fn is_good(&self) -> bool {
        self.dry_run || (self.failed_creations == 0 && self.state.sync.missing_profiles == 0)
    }
}

/// How it stands, with the last sync and recommendations.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    pub(crate) state: State,
    /// When the last sync ended, RFC 3339; null when none is known, and so are its figures.
    pub(crate) last_sync_at: Option<String>,
    pub(crate) created_profiles: Option<u64>,
    pub(crate) failed_creations: Option<u64>,
    pub(crate) errors: Vec<String>,
    pub(crate) execution_time: Option<f64>,
    /// Share of the attempted profiles that were created, in percent.
    pub(crate) success_rate: Option<f64>,
    pub(crate) recommendations: Vec<&'static str>,
}

impl Report {
    pub(crate) fn new(state: State, last: Option<LastSync>) -> Self {
        let details = last.as_ref().map(|last| &last.details);
        let count = |name: &str| details.and_then(|details| details[name].as_u64());
        let (created, failed) = (count("created_profiles"), count("failed_creations"));
        let seconds = details.and_then(|details| details["execution_time"].as_f64());
        let errors = details.and_then(|details| details["errors"].as_array()).into_iter().flatten();
        Self {
            created_profiles: created,
            failed_creations: failed,
            errors: errors.filter_map(Value::as_str).map(str::to_owned).collect(),
            execution_time: seconds,
            success_rate: created.zip(failed).map(|(created, failed)| success_rate(created, failed)),
            recommendations: recommendations(
                &state,
                failed.unwrap_or_default(),
                created.unwrap_or_default(),
                seconds.unwrap_or_default(),
            ),
            last_sync_at: last.map(|last| last.ended_at),
            state,
        }
    }
}

/// In percent, two decimals, rounded down; 100 when nothing was to do.
fn success_rate(created: u64, failed: u64) -> f64 {
    let attempted = created + failed;
    if attempted == 0 { 100.0 } else { (created as f64 * 10_000.0 / attempted as f64).floor() / 100.0 }
}

fn recommendations(state: &State, failed: u64, created: u64, seconds: f64) -> Vec<&'static str> {
    let all = [
        (
            state.trigger != Trigger::Active,
            "New users get no profile: run `rowhouse users repair`, then `rowhouse users test`.",
        ),
        (state.sync.missing_profiles > 0, "Profiles are missing: run `rowhouse users sync`."),
        (
            failed > 0,
            "Profiles could not be created: mend what `errors` says, and run `rowhouse users sync` again.",
        ),
        (
            created > MANY,
            "More than 100 profiles were missing: find out why sign-ups made none; `rowhouse users test` tries one.",
        ),
        (
            seconds > SLOW,
            "The sync took longer than 30 seconds: run it more often, or when the database has less to do.",
        ),
    ];
    all.into_iter().filter(|(applies, _)| *applies).map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests;
