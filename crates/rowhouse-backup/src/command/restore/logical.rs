//! `backup restore` of a logical backup. Leaves the work to `restore::logical`.

use rowhouse_db::url::{read, with_login};
use rowhouse_kernel::Secret;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome, shell_word};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::{Place, RestoreArgs};
use crate::interrupt::interruptible;
use crate::manifest::{BackupId, BackupKind, Manifest};
use crate::restore::logical::{Restored, into_database, into_project};
use crate::store::{BackupReader, Listed, Store};

/// How an interrupted restore leaves its database.
const PART: &str =
    "the database may hold a part of the backup, which the next restore into it replaces with --yes";

/// The logical backup that is meant: by its name, for `--database`, or because there is no other kind.
pub(super) async fn find(
    store: &Store,
    id: Option<&BackupId>,
    args: &RestoreArgs,
) -> Result<Option<BackupReader>, CannotRun> {
    let is_dump = |manifest: &Manifest| manifest.kind == BackupKind::Logical;
    if let Some(id) = id {
        let reader = store.open_backup(id).await?;
        return match (is_dump(&reader.manifest), &args.database) {
            (true, _) => Ok(Some(reader)),
            (false, None) => Ok(None),
            (false, Some(_)) => Err(CannotRun::because(format!(
                "{id} is physical, and --database takes logical backups; restore it with --into DIR"
            ))),
        };
    }
    let listed = store.list().await?;
    let has_others = listed.iter().filter_map(Listed::manifest).any(|manifest| !is_dump(manifest));
    let newest = listed
        .iter()
        .rev()
        .filter(|listed| !listed.is_damaged())
        .filter_map(Listed::manifest)
        .find(|m| is_dump(m));
    match newest {
        Some(newest) if args.database.is_some() || !has_others => {
            Ok(Some(store.open_backup(&newest.id).await?))
        }
        None if args.database.is_some() => Err(CannotRun::because(format!(
            "{} has no logical backup, which --database needs; `rowhouse backup create --logical` makes one",
            store.place()
        ))),
        _ => Ok(None),
    }
}

pub(super) async fn run(
    context: &CommandContext,
    args: &RestoreArgs,
    reader: &BackupReader,
) -> Result<CommandOutcome, CannotRun> {
    let id = &reader.manifest.id;
    if args.at.is_some() || args.lsn.is_some() || args.name.is_some() {
        return Err(CannotRun::because(format!(
            "{id} is a dump: it restores to its own moment only; leave out --at, --lsn and --name, and choose it by its name"
        )));
    }
    if let Some(url) = &args.database {
        let url = target(url)?;
        let filling = into_database(reader, (&url, args.yes), &*context.rng, &context.clock);
        let restored = context.interruptible(PART, filling).await?;
        let into = rowhouse_db::url::describe(&url)?;
        return Ok(outcome(
            reader,
            &restored,
            &format!("restored {id} into {into}; logins that were not there have no password yet"),
            &into,
        ));
    }
    if args.in_place {
        return Err(CannotRun::because(format!(
            "{id} is a dump, which does not replace a cluster; restore it with --into DIR or --database URL"
        )));
    }
    super::require_empty(args)?;
    let place = Place::prepare(context, args).await?;
    let work = into_project(reader, &place.project, &*context.rng, &context.clock);
    match interruptible(context, work).await {
        Ok(restored) => {
            let folder = place.project.root();
            let text = format!("restored {id}\nstart it with: rowhouse up --dir {}", shell_word(folder));
            Ok(outcome(reader, &restored, &text, &folder.display().to_string()))
        }
        Err(error) => {
            place.clear();
            Err(error)
        }
    }
}

/// A password need not be among the arguments, where everybody on the machine reads it: `PGPASSWORD` is one as well.
fn target(url: &str) -> Result<Secret, CannotRun> {
    let url = Secret::new(url.to_owned());
    let config = read(&url)?;
    match (config.get_password(), std::env::var("PGPASSWORD")) {
        (None, Ok(password)) => {
            Ok(with_login(&url, config.get_user().unwrap_or("postgres"), &Secret::new(password))?)
        }
        _ => Ok(url),
    }
}

fn outcome(reader: &BackupReader, restored: &Restored, text: &str, into: &str) -> CommandOutcome {
    let at = restored.details.snapshot_at.format(&Rfc3339).unwrap_or_default();
    let document = json!({
        "backup": reader.manifest.id, "kind": "logical", "into": into, "snapshot_at": at, "left_out": restored.left_out,
    });
    let left_out: String =
        restored.left_out.iter().map(|what| format!("\nnot taken by the server: {what}")).collect();
    CommandOutcome::yes(document, format!("{text}\nas it was at {at}{left_out}"))
}
