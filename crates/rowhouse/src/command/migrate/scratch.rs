//! A database beside the project's, with the platform's migrations and the project's up to some file, for trying the rest.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use rowhouse_db::migrate::{self, MigrateError, Migration};
use rowhouse_db::scratch::Scratch;
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, CommandContext, CopyFuture, Project, State, interruptible};
use tokio_postgres::Client;

use super::project_url;
use crate::modules;

/// What is put into it.
#[derive(Clone, Copy)]
pub(in crate::command) struct Content<'a> {
    /// Migrations that are applied before.
    pub(in crate::command) base: &'a [Migration],
    /// Migrations that will be tried: their extensions are created before.
    pub(in crate::command) tried: &'a [Migration],
    /// What fills the tables.
    pub(in crate::command) rows: Rows<'a>,
}

/// The rows of the tables.
#[derive(Clone, Copy)]
pub(in crate::command) enum Rows<'a> {
    /// None, or the caller's.
    None,
    /// `seed.sql`, if it fits.
    Seed,
    /// A file of SQL.
    File(&'a Path),
}

/// Runs `work` with it; it is dropped afterwards, also after an error or an interrupt.
pub(in crate::command) async fn with<T>(
    project: &Project,
    content: Content<'_>,
    interrupted: &AtomicBool,
    work: impl AsyncFnOnce(&Scratch, &Client) -> Result<T, CannotRun>,
) -> Result<T, CannotRun> {
    let (settings, _) = modules::settings(project)?;
    let scratch = create(project).await?;
    let work = async {
        let client = connect(&scratch, content).await?;
        fill(project, &settings, &client, content).await?;
        work(&scratch, &client).await
    };
    let result = interruptible(interrupted, "the project's database is as it was", work).await;
    scratch.remove().await?;
    result
}

/// One with all migrations of platform and project, and without rows, for a module's command.
pub(in crate::command) fn make_copy(context: &CommandContext) -> CopyFuture<'_> {
    Box::pin(async move {
        let migrations = migrate::read_project(&context.project.migrations())?;
        let settings = context.settings()?;
        let scratch = create(&context.project).await?;
        let content = Content { base: &migrations, tried: &[], rows: Rows::None };
        let made = async {
            let client = connect(&scratch, content).await?;
            fill(&context.project, &settings, &client, content).await?;
            modules::modules().after_project_migrations(&client, &settings).await
        };
        match context.interruptible("the project's database is as it was", made).await {
            Ok(()) => Ok(scratch),
            Err(error) => {
                scratch.remove().await?;
                Err(error)
            }
        }
    })
}

async fn create(project: &Project) -> Result<Scratch, CannotRun> {
    let created = Scratch::create(&owner_url(project)?, &project_url(project)?).await;
    created.map_err(|error| CannotRun::because(error.to_string()))
}

/// Prepares it as its owner, and connects as the login.
async fn connect(scratch: &Scratch, content: Content<'_>) -> Result<Client, CannotRun> {
    let owner = scratch.connect_as_owner().await?;
    rowhouse_db::prepare_scratch(&owner).await?;
    migrate::create_extensions(&owner, content.base).await?;
    migrate::create_extensions(&owner, content.tried).await?;
    Ok(scratch.connect().await?)
}

/// Who may create databases: under `up` the embedded server's superuser.
pub(in crate::command) fn owner_url(project: &Project) -> Result<Secret, CannotRun> {
    let state = State::read(project).filter(|state| state.pg_pid.is_some() && State::is_running(project));
    match state {
        Some(state) => Ok(Secret::new(state.db_url)),
        None => project_url(project),
    }
}

async fn fill(
    project: &Project,
    settings: &Settings,
    client: &Client,
    content: Content<'_>,
) -> Result<(), CannotRun> {
    let modules = modules::modules();
    migrate::apply_platform(client, &modules.migrations()).await?;
    modules.after_platform_migrations(client, settings).await?;
    migrate::apply_project(client, content.base).await?;
    let seed = project.root().join("seed.sql");
    let (path, is_seed) = match content.rows {
        Rows::None => return Ok(()),
        Rows::Seed => (seed.as_path(), true),
        Rows::File(path) => (path, false),
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(_) if is_seed => return Ok(()),
        Err(error) => return Err(CannotRun::because(format!("{}: {error}", path.display()))),
    };
    match migrate::apply_seed(client, Some(text)).await {
        Err(MigrateError::Failed(refused)) if is_seed => {
            // Before the first file there are no tables for it.
            if !content.base.is_empty() {
                let cause = rowhouse_db::DbError::from(refused.cause);
                tracing::warn!("seed.sql does not fit, and the tables are empty: {cause}");
            }
            Ok(())
        }
        result => Ok(result.map(drop)?),
    }
}
