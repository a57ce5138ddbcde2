//! `backup restore`: a project's folder as it was at a time. Leaves the work to `restore`.

mod logical;
pub(super) mod pgbackrest;
mod tenant;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use nix::unistd::Uid;
use rowhouse_db::DbSettings;
use rowhouse_db::embedded::{data_folder, stop_orphan};
use rowhouse_db::replication::Lsn;
use rowhouse_kernel::parse_instant;
use rowhouse_module::{CannotRun, CommandContext, CommandOutcome, Project, ProjectLock, Secrets, shell_word};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::{KeyArgs, backup_id, reader};
use crate::interrupt::interruptible;
use crate::receiver::{Receiver, Status, save_interval};
use crate::restore::{
    Phases, Restored, Target, complete, locate, outside, restore, restore_project, subscription,
};
use crate::secure::{Secured, secure};
use crate::settings::BackupSettings;
use crate::source::Source;
use crate::store::{Store, find_server_key};

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup to begin with; without it the newest that ends before the target
    id: Option<String>,
    /// As it was at this time (RFC 3339): everything that was committed by then
    #[arg(long, value_name = "TIME", group = "target")]
    at: Option<String>,
    /// As it was at this position of the write-ahead log
    #[arg(long, value_name = "LSN", group = "target")]
    lsn: Option<Lsn>,
    /// As it was at a point that `backup point` has named
    #[arg(long, value_name = "NAME", group = "target")]
    name: Option<String>,
    /// A new or empty folder, which becomes a project that `up` starts
    #[arg(long, value_name = "DIR", required_unless_present_any = ["in_place", "database", "tenant"], conflicts_with = "in_place")]
    into: Option<PathBuf>,
    /// An empty database, for a logical backup; with --yes also one in which an interrupted restore has left a part. A password in `PGPASSWORD` need not be in the URL
    #[arg(long, value_name = "URL", conflicts_with_all = ["into", "in_place", "tenant"])]
    database: Option<String>,
    /// Replace the cluster of this project, which must be stopped; the old data are put aside
    #[arg(long, requires = "yes")]
    in_place: bool,
    /// Do it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    tenant: tenant::TenantArgs,
    #[command(flatten)]
    key: KeyArgs,
}

pub(super) async fn run(context: &CommandContext, args: &RestoreArgs) -> Result<CommandOutcome, CannotRun> {
    let id = args.id.as_deref().map(backup_id).transpose()?;
    let store = reader(context, &args.key)?;
    let wish = args.tenant.wish();
    // A dump is of a whole database: the rows of one tenant come from a physical backup.
    if wish.is_none()
        && let Some(dump) = logical::find(&store, id.as_ref(), args).await?
    {
        return logical::run(context, args, &dump).await;
    }
    let target = target(context, args, &store).await?;
    require_empty(args)?;
    let secured = secured(context).await;
    let reader = locate(&store, id.as_ref(), &target).await?;
    if let Some(wish) = &wish {
        return tenant::run(context, (&store, &reader, &target), wish).await;
    }
    let place = Place::prepare(context, args).await?;
    let aside = place.aside.as_deref();
    let restored = async {
        let restored = restore(&store, &reader, &target, (&place.project, aside), &context.clock).await?;
        let mut said = Said::default();
        if aside.is_none() {
            restore_project(&reader, place.project.root()).await?;
            let (from, to) = (&context.project, &place.project);
            said.missing = complete((&store, &restored.manifest), &restored.applied, (from, to)).await?;
            said.renamed = prepare_outside(context, to, &restored).await?;
        }
        Ok((restored, said))
    };
    match interruptible(context, restored).await {
        Ok((restored, said)) => Ok(outcome(&place, &restored, (&target, secured), &said)),
        Err(error) => {
            place.clear();
            Err(error)
        }
    }
}

/// A folder with something in it is somebody's.
fn require_empty(args: &RestoreArgs) -> Result<(), CannotRun> {
    let Some(into) = &args.into else { return Ok(()) };
    let is_empty = match std::fs::read_dir(into) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(CannotRun::because(format!("{}: {error}", into.display()))),
    };
    match is_empty {
        true => Ok(()),
        false => Err(CannotRun::because(format!(
            "{} is not empty; choose another folder for --into",
            into.display()
        ))),
    }
}

async fn target(context: &CommandContext, args: &RestoreArgs, store: &Store) -> Result<Target, CannotRun> {
    if let Some(text) = &args.at {
        let at = parse_instant(text).ok_or_else(|| {
            CannotRun::because(format!("\"{text}\" is not a time such as 2026-11-28T10:00:00Z"))
        })?;
        return match at <= context.clock.now() {
            true => Ok(Target::Time(at)),
            false => Err(CannotRun::because(format!("{text} has not come yet"))),
        };
    }
    if let Some(name) = &args.name {
        return Ok(Target::Point(store.get_point(name).await?));
    }
    Ok(args.lsn.map_or(Target::Latest, Target::Lsn))
}

/// What the store has can be restored while it takes nothing more; a target that is not in it is refused later.
async fn secured(context: &CommandContext) -> Secured {
    secure_log(context).await.unwrap_or_else(|error| {
        tracing::warn!("the newest write-ahead log was not brought into the store: {error}");
        Secured::No
    })
}

async fn secure_log(context: &CommandContext) -> Result<Secured, CannotRun> {
    let Ok(source) = Source::of(context) else { return Ok(Secured::No) };
    let settings = context.settings()?.get::<BackupSettings>();
    // The escrow key reads; what is added to the log is the server's.
    if find_server_key(&settings, &context.project)?.is_none() {
        return Ok(Secured::No);
    }
    let status = Arc::new(Status::default());
    let store = super::store(context).await?;
    secure(&Receiver { source, store, status, save_interval: save_interval(&settings) }).await
}

/// Where the cluster goes.
struct Place {
    project: Project,
    /// In place: the name of the former data.
    aside: Option<String>,
    /// Held until the end.
    _lock: Option<ProjectLock>,
}

impl Place {
    async fn prepare(context: &CommandContext, args: &RestoreArgs) -> Result<Self, CannotRun> {
        let Some(into) = &args.into else { return Self::in_place(context).await };
        std::fs::create_dir_all(into)?;
        let project = Project::open(into)?;
        require_own(project.root())?;
        project.ensure_private()?;
        let lock = ProjectLock::take(&project)?;
        Ok(Self { project, aside: None, _lock: Some(lock) })
    }

    async fn in_place(context: &CommandContext) -> Result<Self, CannotRun> {
        let project = context.project.clone();
        if context.settings()?.get::<DbSettings>().server_url().is_some() {
            return Err(CannotRun::because(
                "--in-place is for the cluster that `up` has created; restore --into a folder, and start its server there",
            ));
        }
        project.ensure_private()?;
        let lock = ProjectLock::take(&project)?;
        // A server that a killed `up` has left would go on in the folder that is moved aside, and write into the new one.
        if let Some(data) = data_folder(project.root()) {
            stop_orphan(&data).await.map_err(|error| CannotRun::because(error.to_string()))?;
        }
        let aside = format!("data.before-{}", context.clock.now().unix_timestamp());
        Ok(Self { project, aside: Some(aside), _lock: Some(lock) })
    }

    /// After a failure: a new folder is empty again, so that the next attempt may use it. What others have put there stays.
    fn clear(&self) {
        if self.aside.is_some() {
            return;
        }
        let link = self.project.private("pg");
        let elsewhere = if link.is_symlink() && is_own(&link) { link.canonicalize().ok() } else { None };
        let entries = std::fs::read_dir(self.project.root()).into_iter().flatten().filter_map(Result::ok);
        let found = entries.map(|entry| entry.path()).filter(|path| is_own(path)).chain(elsewhere);
        found.for_each(|path| {
            let _nothing_left_to_do = match path.is_dir() && !path.is_symlink() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
        });
    }
}

/// Whether this account has made it; a link counts by itself.
fn is_own(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.uid() == Uid::effective().as_raw())
}

/// The folder gets the project's keys: whoever owns it could read them, or exchange what is in it.
fn require_own(folder: &Path) -> Result<(), CannotRun> {
    match is_own(folder) {
        true => Ok(()),
        false => Err(CannotRun::because(format!(
            "{} belongs to another account; choose a folder of your own for --into",
            folder.display()
        ))),
    }
}

/// A cluster that `up` has created is as it needs it; any other is made so.
async fn prepare_outside(
    context: &CommandContext,
    project: &Project,
    restored: &Restored,
) -> Result<Option<String>, CannotRun> {
    let details = &restored.details;
    if details.is_embedded {
        return Ok(None);
    }
    let secrets = Secrets::ensure(project, &*context.rng)?;
    let mut server = rowhouse_db::embedded::Temporary::start(&restored.paths, &restored.account, &[])?;
    let done = outside::prepare(&mut server, (&details.superuser, &details.database), &secrets).await;
    server.stop().await;
    done
}

/// What a copy needs to be known of.
#[derive(Default)]
struct Said {
    /// Migrations whose files are nowhere.
    missing: Vec<String>,
    /// Databases that were renamed.
    renamed: Option<String>,
}

fn outcome(
    place: &Place,
    restored: &Restored,
    (target, secured): (&Target, Secured),
    Said { missing, renamed }: &Said,
) -> CommandOutcome {
    let Restored { manifest, phases, heartbeat, subscriptions, libraries, .. } = restored;
    let heartbeat = heartbeat.and_then(|at| at.format(&Rfc3339).ok());
    let folder = place.project.root();
    let document = json!({
        "backup": manifest.id, "target": target.to_string(), "folder": folder.display().to_string(),
        "last_heartbeat": heartbeat, "secured": secured == Secured::Yes, "seconds": seconds(phases),
        "is_copy": place.aside.is_none(), "missing_migrations": missing, "renamed": renamed,
        "disabled_subscriptions": subscriptions, "libraries": libraries.document(),
    });
    let start = if place.aside.is_some() {
        place.project.dir_option()
    } else {
        format!(" --dir {}", shell_word(folder))
    };
    let aside = place.aside.as_ref().map(|name| format!("\nthe former data are in .rowhouse/pg/{name}; backups go on with the next `rowhouse backup create`"));
    let copy = place.aside.is_none().then(|| {
        format!(
            "\nit is a copy: its jobs, mails and schedules rest until: rowhouse backup activate --yes{start}"
        )
    });
    let renamed = renamed.as_ref().map(|renamed| format!("\n{renamed}")).unwrap_or_default();
    let missing: String = missing
        .iter()
        .map(|name| {
            format!("\nmigrations/{name} was applied after the backup, and its file is nowhere: bring it back before the start")
        })
        .collect();
    let text = format!(
        "restored {} up to {target}{}{}{}{}{}{missing}{renamed}\nstart it with: rowhouse up{start}",
        manifest.id,
        heartbeat.map(|at| format!("; the last heartbeat in it is of {at}")).unwrap_or_default(),
        aside.unwrap_or_default(),
        copy.unwrap_or_default(),
        subscription::told(subscriptions),
        libraries.told(),
    );
    CommandOutcome::yes(document, text)
}

/// Seconds of each phase.
pub(crate) fn seconds(phases: &Phases) -> Value {
    let pairs = phases
        .iter()
        .map(|(name, took)| ((*name).to_owned(), json!((took.as_secs_f64() * 1000.0).round() / 1000.0)));
    Value::Object(pairs.collect())
}
