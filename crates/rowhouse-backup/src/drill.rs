//! A drill: the newest backup is restored into a folder that is thrown away, started where nobody else reaches it, and looked
//! into. What was measured is a signed report. Leaves restoring to `restore`.

mod check;
mod forecast;
mod program;
mod report;
pub(crate) mod schedule;
mod sign_in;

use rowhouse_db::embedded::Temporary;
use rowhouse_kernel::SharedRng;
use rowhouse_module::{CannotRun, CommandContext, Project};
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;

pub(crate) use forecast::{Forecast, LIMIT_SECONDS};
pub(crate) use report::{Report, reports};

use crate::manifest::BackupId;
use crate::restore::{Phases, Restored, Target, complete, locate, restore, restore_project};
use crate::source::Source;
use crate::store::{BackupReader, Deed, Store};
use crate::throwaway::Throwaway;
use check::{Check, Verdict};

/// Below `.rowhouse`: reports, and the folder of a drill that runs.
pub(crate) const FOLDER: &str = "drills";

/// Runs a drill and writes its report.
///
/// # Errors
/// If it cannot begin: there is no backup, or the key does not open it. What is found wrong later is in the report.
pub(crate) async fn run(
    context: &CommandContext,
    store: &Store,
    id: Option<&BackupId>,
    has_escrow_key: bool,
) -> Result<Report, CannotRun> {
    let begun = Instant::now();
    let started_at = context.clock.now();
    let live = live_heartbeat(context).await;
    let reader = locate(store, id, &Target::Latest).await?;
    let mut phases: Phases = vec![("locate", begun.elapsed())];
    let work = Throwaway::make(&context.project, FOLDER, &report::name(started_at)).await?;
    let (checks, heartbeat) = match attempt(store, &reader, &work.project, (&mut phases, context)).await {
        Ok((checks, heartbeat)) => (checks, heartbeat),
        Err(error) => (vec![Check::failed("restore", &error.to_string())], None),
    };
    drop(work);
    let is_good = checks.iter().all(|check| check.verdict != Verdict::Bad);
    let report = Report {
        id: report::name(started_at),
        started_at,
        backup: reader.manifest.id.clone(),
        key: if has_escrow_key { "escrow" } else { "server" }.to_owned(),
        is_good,
        checks,
        seconds: phases.iter().map(|(name, took)| ((*name).to_owned(), took.as_secs_f64())).collect(),
        rto_seconds: begun.elapsed().as_secs_f64(),
        rpo_seconds: lost(live, heartbeat),
        bytes: reader.manifest.bytes(),
        last_heartbeat: heartbeat,
    };
    report.save(context)?;
    let details =
        json!({ "drill": report.id, "rto_seconds": report.rto_seconds, "rpo_seconds": report.rpo_seconds });
    if let Err(error) = store.record(&report.backup, Deed::Drilled, is_good, details).await {
        tracing::warn!("the result is not kept with the backup: {error}");
    }
    Ok(report)
}

async fn attempt(
    store: &Store,
    reader: &BackupReader,
    project: &Project,
    (phases, context): (&mut Phases, &CommandContext),
) -> Result<(Vec<Check>, Option<OffsetDateTime>), CannotRun> {
    let restored = restore(store, reader, &Target::Latest, (project, None), &context.clock).await?;
    restore_project(reader, project.root()).await?;
    // What is nowhere, the check of migrations names.
    complete((store, &restored.manifest), &restored.applied, (&context.project, project)).await?;
    phases.extend(restored.phases.iter().copied());
    let begun = Instant::now();
    let detail =
        format!("every file is as PostgreSQL has listed it{}", restored.libraries.told().replace('\n', "; "));
    let mut checks = vec![Check::good("restore", &detail)];
    checks.push(program::data_checksums(&restored)?);
    let mut server = Temporary::start(&restored.paths, &restored.account, &[])?;
    let looked = look(&mut server, &restored, project, &context.rng).await;
    server.stop().await;
    checks.extend(looked?);
    phases.push(("verify", begun.elapsed()));
    Ok((checks, restored.heartbeat))
}

async fn look(
    server: &mut Temporary,
    restored: &Restored,
    project: &Project,
    rng: &SharedRng,
) -> Result<Vec<Check>, CannotRun> {
    let details = &restored.details;
    server.connect(&details.superuser).await?;
    let client = rowhouse_db::connect(&server.url(&details.superuser, &details.database)).await?;
    let url = server.url("rowhouse", &details.database);
    // Before the others, which add an extension.
    Ok(vec![
        program::ask("migrations", &["migrate", "verify"], project, &url).await,
        program::ask("isolation", &["rls", "audit"], project, &url).await,
        check::indexes(&client).await,
        check::tables(&client).await,
        check::rows(&client).await,
        program::smoke(&url, project).await,
        // Last, since it writes.
        sign_in::sign_in(&client, (server, details), project, rng).await,
    ])
}

/// What the cluster had last written, if it answers.
async fn live_heartbeat(context: &CommandContext) -> Option<OffsetDateTime> {
    let client = Source::of(context).ok()?.connect().await.ok()?;
    let row = client.query_one("select at from rowhouse.backup_heartbeat", &[]).await.ok()?;
    Some(row.get(0))
}

/// Seconds between what the cluster had and what was restored; unknown if either is.
fn lost(live: Option<OffsetDateTime>, restored: Option<OffsetDateTime>) -> Option<f64> {
    // More was committed while the store was read: then nothing was lost.
    Some((live? - restored?).as_seconds_f64().max(0.0))
}
