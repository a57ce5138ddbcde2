//! `backup point`: a name for the present, to which `backup restore --name` goes back.

use std::sync::Arc;

use rowhouse_module::{CannotRun, CommandContext, CommandOutcome};
use serde_json::json;

use crate::receiver::{Receiver, Status, save_interval};
use crate::secure::wait;
use crate::settings::BackupSettings;
use crate::source::{SlotState, Source, slot_state};
use crate::store::Point;

#[derive(Debug, clap::Args)]
pub(super) struct PointArgs {
    /// Letters, digits, `.`, `_` and `-`
    name: String,
}

pub(super) async fn run(context: &CommandContext, args: &PointArgs) -> Result<CommandOutcome, CannotRun> {
    let (source, store) = (Source::of(context)?, super::store(context).await?);
    let client = source.connect().await?;
    let state = slot_state(&client, &source.slot).await.map_err(rowhouse_db::DbError::from)?;
    if matches!(state, SlotState::Missing | SlotState::Lost) {
        return Err(CannotRun::because(
            "nothing receives write-ahead log, so no point can be restored; begin with `rowhouse backup create`",
        ));
    }
    if store.get_point(&args.name).await.is_ok() {
        return Err(CannotRun::because(format!(
            "the point {} exists already; choose another name",
            args.name
        )));
    }
    let identity = source.replicate().await?.identify().await?;
    let row = client.query_one("select pg_create_restore_point($1)::text", &[&args.name]).await;
    let row = row.map_err(|error| not_allowed(error.into()))?;
    let lsn = row.get::<_, &str>(0).parse().map_err(|_| CannotRun::because("no position was returned"))?;
    let point = Point {
        name: args.name.clone(),
        system_id: identity.system_id,
        timeline: identity.timeline,
        lsn,
        at: context.clock.now(),
    };
    let save_interval = save_interval(&context.settings()?.get::<BackupSettings>());
    let status = Arc::new(Status::default());
    let receiver = Receiver { source, store, status, save_interval };
    wait(&receiver, &client, lsn).await?;
    // Only now is there what it leads to.
    receiver.store.put_point(&point).await?;
    let text =
        format!("{} is {lsn}; go back with: rowhouse backup restore --name {0} --into DIR", point.name);
    Ok(CommandOutcome::yes(json!({ "name": point.name, "lsn": lsn, "timeline": point.timeline }), text))
}

fn not_allowed(error: rowhouse_db::DbError) -> CannotRun {
    match error.code() {
        Some("42501") => CannotRun::because(format!(
            "{error}: run as a superuser: grant execute on function pg_create_restore_point(text) to rowhouse"
        )),
        _ => error.into(),
    }
}
