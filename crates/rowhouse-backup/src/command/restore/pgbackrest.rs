//! `backup restore` from pgBackRest: it writes the files, and the project's own server replays their log.

use rowhouse_db::DbSettings;
use rowhouse_db::embedded::prepare_folder;
use rowhouse_db::url::read;
use rowhouse_kernel::parse_instant;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome, shell_word};
use serde_json::json;
use time::UtcOffset;
use time::macros::format_description;

use super::{Place, RestoreArgs};
use crate::interrupt::interruptible;
use crate::pgbackrest::PgBackRest;
use crate::restore::foreign::{Adopted, Copy, adopt};
use crate::restore::subscription;

pub(in crate::command) async fn run(
    context: &CommandContext,
    args: &RestoreArgs,
    adapter: &PgBackRest,
) -> Result<CommandOutcome, CannotRun> {
    if args.in_place || args.database.is_some() || args.tenant.wish().is_some() {
        return Err(CannotRun::because(
            "with pgBackRest, a restore goes into a new folder: give --into DIR; in place, use pgbackrest itself; the rows of one tenant come from this program's own backups",
        ));
    }
    super::require_empty(args)?;
    let target = target(args)?;
    let settings = context.settings()?.get::<DbSettings>();
    let config = settings.server_url().map(read).transpose()?;
    let named = config.as_ref().and_then(|config| config.get_dbname().or(config.get_user()));
    let database = named.unwrap_or("postgres").to_owned();
    let place = Place::prepare(context, args).await?;
    let work = async {
        let (paths, account) = prepare_folder(place.project.root())?;
        account.own_folder(&paths.data)?;
        adapter.restore(args.id.as_deref(), &target, &paths.data).await?;
        let copy = Copy { database: &database, of: args.id.as_deref().unwrap_or(adapter.stanza()) };
        adopt((&paths, &account), (&context.project, &place.project), &copy, &*context.rng).await
    };
    let adopted = interruptible(context, work).await.inspect_err(|_| place.clear())?;
    let Adopted { renamed, subscriptions, libraries } = adopted;
    let folder = place.project.root();
    let document = json!({ "backup": args.id, "stanza": adapter.stanza(), "target": target, "folder": folder,
        "renamed": renamed, "disabled_subscriptions": subscriptions, "libraries": libraries.document() });
    let text = format!(
        "restored from the stanza {}{}{}{}\nstart it with: rowhouse up --dir {}",
        adapter.stanza(),
        renamed.map(|renamed| format!("\n{renamed}")).unwrap_or_default(),
        subscription::told(&subscriptions),
        libraries.told(),
        shell_word(folder)
    );
    Ok(CommandOutcome::yes(document, text))
}

/// pgBackRest's options for the target; none for the end of the archive.
fn target(args: &RestoreArgs) -> Result<Vec<String>, CannotRun> {
    let (kind, value) = match (&args.at, args.lsn, &args.name) {
        (Some(text), ..) => {
            let form =
                format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]+00");
            let at = parse_instant(text).and_then(|at| at.to_offset(UtcOffset::UTC).format(form).ok());
            let at = at.ok_or_else(|| {
                CannotRun::because(format!("\"{text}\" is not a time such as 2026-11-28T10:00:00Z"))
            })?;
            ("time", at)
        }
        (None, Some(lsn), _) => ("lsn", lsn.to_string()),
        (None, None, Some(name)) => ("name", name.clone()),
        (None, None, None) => return Ok(Vec::new()),
    };
    Ok(vec![format!("--type={kind}"), format!("--target={value}"), "--target-action=promote".to_owned()])
}
