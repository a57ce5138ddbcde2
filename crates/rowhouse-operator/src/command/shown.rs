//! Texts for people.

use rowhouse_tenancy::user_sync::Trigger;
use uuid::Uuid;

use crate::probe::Proof;
use crate::report::{Outcome, Report, State};
use crate::store::bulk::BulkJob;

const REPAIR: &str = "new users get no profile: run `rowhouse users repair`";

/// Names and values, the values below each other.
pub(super) fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    rows.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
}

fn percent(value: f64) -> String {
    format!("{value:.2} %")
}

fn state_rows(state: &State) -> Vec<(&'static str, String)> {
    let sync = &state.sync;
    vec![
        ("Total users", sync.total_auth_users.to_string()),
        ("Total profiles", sync.total_profiles.to_string()),
        ("Missing profiles", sync.missing_profiles.to_string()),
        ("Sync percentage", percent(sync.sync_percentage)),
        ("Trigger", state.trigger.as_str().to_owned()),
        ("Status", sync.status.to_owned()),
    ]
}

fn with_remedy(text: String, state: &State) -> String {
    match (state.trigger, state.sync.missing_profiles) {
        (Trigger::Active, 0) => text,
        (Trigger::Active, _) => format!("{text}profiles are missing: run `rowhouse users sync`\n"),
        _ => format!("{text}{REPAIR}\n"),
    }
}

pub(super) fn state(state: &State, missing: &[Uuid]) -> String {
    let mut text = table(&state_rows(state));
    missing.iter().for_each(|user| text.push_str(&format!("without a profile: {user}\n")));
    with_remedy(text, state)
}

pub(super) fn outcome(outcome: &Outcome, is_verbose: bool) -> String {
    let mut rows = state_rows(&outcome.state);
    rows.extend([
        ("Created profiles", outcome.created_profiles.to_string()),
        ("Failed creations", outcome.failed_creations.to_string()),
        ("Execution time", format!("{:.3} s", outcome.execution_time)),
    ]);
    let mut text = String::new();
    if outcome.dry_run {
        let missing = outcome.state.sync.missing_profiles;
        text.push_str(&format!("dry run, nothing was changed: {missing} profiles would be created\n"));
    }
    if outcome.interrupted {
        text.push_str("interrupted: running it again continues\n");
    }
    text.push_str(&table(&rows));
    outcome.errors.iter().for_each(|error| text.push_str(&format!("failed: {error}\n")));
    if is_verbose {
        outcome.created_user_ids.iter().for_each(|user| text.push_str(&format!("created: {user}\n")));
    }
    if outcome.state.trigger != Trigger::Active {
        text.push_str(&format!("{REPAIR}\n"));
    }
    text
}

pub(super) fn report(report: &Report) -> String {
    let mut rows = state_rows(&report.state);
    let shown = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    rows.extend([
        ("Last sync", shown(report.last_sync_at.clone())),
        ("Created profiles", shown(report.created_profiles.map(|count| count.to_string()))),
        ("Failed creations", shown(report.failed_creations.map(|count| count.to_string()))),
        ("Success rate", shown(report.success_rate.map(percent))),
        ("Execution time", shown(report.execution_time.map(|seconds| format!("{seconds:.3} s")))),
    ]);
    let mut text = table(&rows);
    report.errors.iter().for_each(|error| text.push_str(&format!("failed: {error}\n")));
    report.recommendations.iter().for_each(|what| text.push_str(&format!("- {what}\n")));
    text
}

pub(super) fn bulk_job(job: &BulkJob) -> String {
    let mut rows = vec![
        ("Bulk job", job.id.to_string()),
        ("Action", format!("{}{}", job.action.name(), if job.dry_run { " (dry run)" } else { "" })),
        ("State", job.state.clone()),
        ("Done", format!("{} of {}", job.ended(), job.total)),
        ("Succeeded", job.succeeded.to_string()),
        ("Skipped", job.skipped.to_string()),
        ("Failed", job.failed.to_string()),
    ];
    rows.extend(job.reason.clone().map(|why| ("Reason", why)));
    table(&rows)
}

pub(super) fn proof(proof: &Proof) -> String {
    let word = |good: bool| if good { "yes" } else { "no" }.to_owned();
    let mut text = table(&[
        ("Trigger", proof.trigger.as_str().to_owned()),
        ("Profile created", word(proof.profile_created)),
        ("Profile's role", proof.role.clone().unwrap_or_else(|| "none".to_owned())),
        ("Tenant created", word(proof.tenant_created)),
        ("Rolled back", word(proof.rolled_back)),
    ]);
    if let Some(error) = &proof.error {
        text.push_str(&format!("the user was refused: {error}\n"));
    }
    if proof.trigger != Trigger::Active {
        text.push_str(&format!("{REPAIR}\n"));
    }
    text
}
