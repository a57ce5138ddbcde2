//! `migrate`: status and applying of migrations.

mod back;
mod dry_run;
mod interrupt;
pub(super) mod lint;
mod new;
mod round_trip;
mod scratch;
mod smoke;
mod trace;
mod verify;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rowhouse_db::migrate::{MigrateSettings, Migration, Planned, RunNote};
use rowhouse_db::{BootstrapError, DataPlaneUrls, DbSettings, Logins, Sharing, bootstrap, connect, migrate};
use rowhouse_kernel::Secret;
use rowhouse_module::{CannotRun, CommandOutcome, Project, Secrets, State, interruption};
use serde_json::json;
use tokio_postgres::Client;

pub(super) use new::new_file;
pub(super) use scratch::{Content, Rows, make_copy, owner_url, with as with_scratch};

use crate::cli::{AdoptArgs, MigrateCommand, UpMigrationsArgs};
use crate::command::consent;
use crate::{modules, platform};

/// How long running processes may take to serve the new schema. Longer than the twenty seconds after which a process
/// without heartbeat counts as gone.
const FOLLOW_LIMIT: Duration = Duration::from_secs(30);

/// Connects to the project's database, wherever it is: the running `up`'s, else `DATABASE_URL`.
pub(super) async fn connect_project(project: &Project) -> Result<Client, CannotRun> {
    Ok(connect(&project_url(project)?).await?)
}

/// As the login `rowhouse`.
pub(super) fn project_url(project: &Project) -> Result<Secret, CannotRun> {
    let (settings, _) = modules::settings(project)?;
    if let Some(url) = settings.get::<DbSettings>().server_url().cloned() {
        return Ok(url);
    }
    let state = State::read(project).filter(|_| State::is_running(project)).ok_or_else(|| {
        CannotRun::because(format!(
            "no database: start it with `rowhouse up{}`, or set DATABASE_URL",
            project.dir_option()
        ))
    })?;
    let secrets = Secrets::ensure(project, &*super::rng())?;
    let (_, host) = state
        .db_url
        .rsplit_once('@')
        .ok_or_else(|| CannotRun::because("state.json holds no database URL"))?;
    Ok(Secret::new(format!("postgres://rowhouse:{}@{host}", secrets.rowhouse.expose())))
}

/// The project's files, with the lock budget that its settings give them.
pub(super) fn read_files(project: &Project) -> Result<Vec<Migration>, CannotRun> {
    let (settings, _) = modules::settings(project)?;
    let budget = settings.get::<MigrateSettings>().lock_budget;
    let files = migrate::read_project(&project.migrations())?;
    Ok(files.into_iter().map(|file| file.with_lock_budget(budget)).collect())
}

/// An interrupt is recorded in `interrupted`.
pub(super) async fn run(
    project: &Project,
    command: &MigrateCommand,
    interrupted: &AtomicBool,
) -> Result<CommandOutcome, CannotRun> {
    match command {
        MigrateCommand::Status => status(project).await,
        MigrateCommand::Up(args) if args.dry_run => dry_run::run(project, args.no_lint).await,
        MigrateCommand::Up(args) => up(project, args, interrupted).await,
        MigrateCommand::Roundtrip(args) => round_trip::run(project, args, interrupted).await,
        MigrateCommand::Trace(args) => trace::run(project, args, interrupted).await,
        MigrateCommand::Lint { files } => lint::run(project, files).await,
        MigrateCommand::New { name } => new::run(project, name, super::clock().now()),
        MigrateCommand::Down(args) => back::run(project, args, interrupted).await,
        MigrateCommand::Verify => verify::run(project).await,
        MigrateCommand::Adopt(args) => adopt(project, args).await,
        MigrateCommand::Passwords { yes } => passwords(project, *yes).await,
    }
}

/// Exit code 1 if a migration is pending.
async fn status(project: &Project) -> Result<CommandOutcome, CannotRun> {
    let migrations = read_files(project)?;
    let client = connect_project(project).await?;
    let plan = migrate::plan(&client, &platform::migrations(), &migrations).await?;
    let pending = plan.pending().count();
    let shown = plan.platform.iter().filter(|m| !m.applied).chain(&plan.project);
    let text: String = shown.map(shown_line).collect();
    let json = json!({ "migrations": plan.project, "platform": plan.platform, "extensions": plan.extensions, "pending": pending });
    Ok(CommandOutcome { yes: pending == 0, json, text: format!("{text}{pending} pending") })
}

/// State, name, and what is known about it.
fn shown_line(migration: &Planned) -> String {
    let state = if migration.applied { "applied" } else { "pending" };
    let phase = migration.phase.map(|phase| format!("phase {}", phase.as_str()));
    let reversible = migration.reversible.filter(|reversible| !reversible).map(|_| "no way back".to_owned());
    let record = migration.record.as_ref().map(|record| {
        let millis = record.millis.map(|millis| format!(" in {millis} ms")).unwrap_or_default();
        format!("{} by {}{millis}", record.applied_at, record.applied_by)
    });
    let smoke = migration.record.as_ref().and_then(|record| record.smoke.clone());
    let smoke = smoke.map(|smoke| format!("smoke {smoke}"));
    let known: Vec<String> = [record, smoke, phase, reversible].into_iter().flatten().collect();
    let known = if known.is_empty() { String::new() } else { format!("  {}", known.join(", ")) };
    format!("{state} {}{known}\n", migration.name)
}

/// Applies pending migrations, and returns once every running process serves the new schema. Exit code 1 if one does not, or
/// if lint refuses a file in production.
async fn up(
    project: &Project,
    args: &UpMigrationsArgs,
    interrupted: &AtomicBool,
) -> Result<CommandOutcome, CannotRun> {
    let migrations = read_files(project)?;
    let client = connect_project(project).await?;
    let (settings, _) = modules::settings(project)?;
    let linted = match lint::before_run(&client, &settings, &migrations, args.no_lint).await? {
        lint::Verdict::Run(linted) => linted,
        lint::Verdict::Refused(outcome) => return Ok(outcome),
    };
    let watcher = connect_project(project).await?;
    let note = RunNote { by: std::env::var("USER").unwrap_or_default(), linted };
    let work = apply(project, &client, &migrations, args.yes, &note);
    let plan = migrate::plan(&client, &platform::migrations(), &migrations).await?;
    let before = match plan.project.iter().find(|planned| !planned.applied) {
        Some(first) => smoke::Before::secure(project, &settings, &first.name).await?,
        None => smoke::Before::NOTHING,
    };
    let run = migrate::watched(&client, &watcher, interruption(interrupted), work).await;
    let steps = interrupt::told(&watcher, &migrations, &plan, interrupted, run).await?;
    let outcome = finished(&client, "applied", &steps, !args.no_wait).await?;
    smoke::after((project, &client), &migrations, &steps, &before, outcome).await
}

/// What was done, once every running process serves the new schema. Exit code 1 if one does not.
async fn finished(
    client: &Client,
    done: &'static str,
    steps: &[migrate::Step],
    wait: bool,
) -> Result<CommandOutcome, CannotRun> {
    let behind = match wait && !steps.is_empty() {
        true => migrate::wait_for_processes(client, FOLLOW_LIMIT).await?,
        false => Vec::new(),
    };
    let mut text: String = steps
        .iter()
        .map(|step| format!("{done} {} ({} ms)\n", step.name, step.millis.unwrap_or(0)))
        .collect();
    for process in &behind {
        text.push_str(&format!(
            "process {} on {} does not serve the new schema after {FOLLOW_LIMIT:?}; see its log\n",
            process.pid, process.host
        ));
    }
    let json = json!({ done.replace(' ', "_"): steps, "behind": behind });
    Ok(CommandOutcome { yes: behind.is_empty(), json, text: format!("{text}{} {done}", steps.len()) })
}

/// All of it under one lock: roles and default privileges are changed too, and two at once would fail.
async fn apply(
    project: &Project,
    client: &Client,
    migrations: &[Migration],
    yes: bool,
    note: &RunNote,
) -> Result<Vec<migrate::Step>, CannotRun> {
    let (settings, _) = modules::settings(project)?;
    rowhouse_backup::require_whole(client).await?;
    migrate::exclusive(client, async || {
        prepare_roles(client, &settings.get::<DbSettings>(), yes).await?;
        let modules = modules::modules();
        let mut steps = migrate::apply_platform(client, &modules.migrations()).await?;
        modules.after_platform_migrations(client, &settings).await?;
        create_extensions(project, client, migrations).await?;
        let applied = migrate::apply_project_noted(client, migrations, note).await;
        steps.extend(applied.map_err(|error| after(&steps, error))?);
        modules.after_project_migrations(client, &settings).await?;
        Ok(steps)
    })
    .await
}

/// Roles and grants on an external server; without passwords of the data plane they must be there.
async fn prepare_roles(client: &Client, settings: &DbSettings, yes: bool) -> Result<(), CannotRun> {
    let Some(urls) = data_plane(settings)? else { return Ok(rowhouse_db::require_prepared(client).await?) };
    let logins = Logins::new(None, &urls)?;
    match bootstrap(client, &logins, Sharing::Refuse).await {
        Err(BootstrapError::Shared(shared)) => {
            consent::require(yes, &shared.to_string())?;
            bootstrap(client, &logins, Sharing::Accept).await?;
        }
        result => drop(result?),
    }
    Ok(rowhouse_db::require_sign_in(&urls).await?)
}

/// The data plane's URLs if `DATABASE_URL` and both passwords, or both URLs, are given.
pub(super) fn data_plane(settings: &DbSettings) -> Result<Option<DataPlaneUrls>, CannotRun> {
    let authenticator = settings.authenticator_password.is_some() || settings.authenticator_url.is_some();
    let service =
        settings.authenticator_service_password.is_some() || settings.authenticator_service_url.is_some();
    // Commands do not go through a pooler.
    let direct = DbSettings { url: settings.server_url().cloned(), ..settings.clone() };
    match direct.url.is_some() && authenticator && service {
        true => Ok(Some(rowhouse_module::database_urls(&direct, None)?.data)),
        false => Ok(None),
    }
}

/// Changes the owner of existing objects to the role that migrations run as.
async fn adopt(project: &Project, args: &AdoptArgs) -> Result<CommandOutcome, CannotRun> {
    let client = connect(&scratch::owner_url(project)?).await?;
    let found = rowhouse_db::adopt(&client, &args.schemas, true).await?;
    let listed: String = found.iter().map(|a| format!("{} (of {})\n", a.object, a.former_owner)).collect();
    if args.dry_run || found.is_empty() {
        let text = format!("{listed}{} to adopt", found.len());
        return Ok(CommandOutcome::yes(json!({ "would_adopt": found }), text));
    }
    let what = format!(
        "{} objects in {} become rowhouse_project's, which migrations run as; their former owners keep every privilege on them as a grant, and can no longer alter or drop them",
        found.len(),
        args.schemas.join(", ")
    );
    consent::require(args.yes, &what)?;
    let adopted = rowhouse_db::adopt(&client, &args.schemas, false).await?;
    let text = format!("{listed}{} adopted", adopted.len());
    Ok(CommandOutcome::yes(json!({ "adopted": adopted }), text))
}

/// The only command that changes passwords of existing logins.
async fn passwords(project: &Project, yes: bool) -> Result<CommandOutcome, CannotRun> {
    let (settings, _) = modules::settings(project)?;
    let urls = data_plane(&settings.get::<DbSettings>())?.ok_or_else(|| {
        CannotRun::because(
            "set DATABASE_URL, db.authenticator_password and db.authenticator_service_password",
        )
    })?;
    let what = "the data plane's logins get the configured passwords, for every database of this server; processes that sign in with the old ones are locked out";
    consent::require(yes, what)?;
    let changed = rowhouse_db::set_passwords(&connect_project(project).await?, &urls).await?;
    Ok(CommandOutcome::yes(json!({ "changed": changed }), format!("changed: {}", changed.join(", "))))
}

/// Adds to a failed project migration which platform migrations had been applied before.
fn after(steps: &[migrate::Step], error: migrate::MigrateError) -> CannotRun {
    let mut failed = CannotRun::from(error);
    if !steps.is_empty() {
        let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        failed.0.push(format!("applied before it: platform migrations {}", names.join(", ")));
    }
    failed
}

/// Creates requested extensions. Under `up` the embedded server's superuser creates them.
async fn create_extensions(
    project: &Project,
    client: &Client,
    migrations: &[Migration],
) -> Result<(), CannotRun> {
    let state = State::read(project).filter(|state| state.pg_pid.is_some() && State::is_running(project));
    let created = match state {
        Some(state) => {
            migrate::create_extensions(&connect(&Secret::new(state.db_url)).await?, migrations).await
        }
        None => migrate::create_extensions(client, migrations).await,
    };
    created.map_err(CannotRun::from)
}
