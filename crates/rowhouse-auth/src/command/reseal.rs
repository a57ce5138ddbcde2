//! `keys reseal`: everything sealed anew after `auth.key_secret` was replaced.

use std::path::Path;

use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, CommandOutcome, counted, grouped};
use serde_json::{Value, json};

use super::failed;
use crate::KeyStore;
use crate::settings::AuthSettings;

/// Puts the former secret of a file in the place of the setting.
pub(super) fn read_old_key(file: &Path, settings: &mut Settings) -> Result<(), CannotRun> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| CannotRun::because(format!("{}: {error}", file.display())))?;
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    settings.update(|auth: &mut AuthSettings| auth.key_secret_previous = Some(secret));
    Ok(())
}

pub(super) async fn reseal(keys: &KeyStore, dry_run: bool) -> Result<CommandOutcome, CannotRun> {
    let columns = keys.reseal(dry_run).await.map_err(failed)?;
    let resealed: u64 = columns.iter().map(|column| column.resealed).sum();
    let verb = if dry_run { "would seal" } else { "sealed" };
    let values = counted(resealed, "value", "values");
    let mut text = format!("{verb} {values} with auth.key_secret");
    let mut rows: Vec<Value> = Vec::new();
    for column in &columns {
        let (name, resealed, current) = (column.column, column.resealed, column.current);
        text.push_str(&format!("\n  {name}: {}, already so: {}", grouped(resealed), grouped(current)));
        rows.push(json!({ "column": name, "resealed": resealed, "current": current }));
    }
    if !dry_run {
        text.push_str(
            "\nauth.key_secret_previous can be removed once waiting jobs of kind auth.hook are done",
        );
    }
    Ok(CommandOutcome::yes(json!({ "dry_run": dry_run, "resealed": resealed, "columns": rows }), text))
}
