//! `migrate`: what is applied, and applying what is not.

use rowhouse_db::{DbError, LoginPasswords, apply_default_grants, bootstrap, migrate};
use rowhouse_kernel::Secret;
use serde_json::json;
use tokio_postgres::{Client, NoTls};

use crate::outcome::{CannotRun, Outcome};
use crate::platform;
use crate::project::Project;
use crate::secrets::Secrets;
use crate::state::State;

/// A connection outside the pools, driven in the background.
pub(crate) async fn connect(url: &Secret) -> Result<Client, CannotRun> {
    let (client, connection) = rowhouse_db::url::read(url)?.connect(NoTls).await.map_err(|error| {
        let source =
            std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        CannotRun::because(format!("cannot connect to the database: {error}{source}"))
    })?;
    tokio::spawn(connection);
    Ok(client)
}

/// Connects to the project's database, wherever it is: the running `up`'s, else `DATABASE_URL`.
pub(super) async fn connect_project(project: &Project) -> Result<Client, CannotRun> {
    connect(&project_url(project)?).await
}

/// As the login `rowhouse`.
pub(super) fn project_url(project: &Project) -> Result<Secret, CannotRun> {
    let (settings, _) = project.settings()?;
    if let Some(url) = settings.db.url {
        return Ok(url);
    }
    let state = State::read(project).filter(|_| State::is_running(project)).ok_or_else(|| {
        CannotRun::because(format!(
            "no database: start it with `rowhouse up --dir {}`, or set DATABASE_URL",
            project.root().display()
        ))
    })?;
    let secrets = Secrets::ensure(project, &*super::rng())?;
    let (_, host) = state
        .db_url
        .rsplit_once('@')
        .ok_or_else(|| CannotRun::because("state.json holds no database URL"))?;
    Ok(Secret::new(format!("postgres://rowhouse:{}@{host}", secrets.rowhouse.expose())))
}

/// Exit code 1 when something waits to be applied.
pub(super) async fn status(project: &Project) -> Result<Outcome, CannotRun> {
    let migrations = migrate::read_project(&project.migrations())?;
    let status = migrate::project_status(&connect_project(project).await?, &migrations).await?;
    let pending = status.iter().filter(|(_, applied)| !applied).count();
    let text: String = status
        .iter()
        .map(|(name, applied)| format!("{} {name}\n", if *applied { "applied" } else { "pending" }))
        .collect();
    let rows: Vec<_> =
        status.iter().map(|(name, applied)| json!({ "name": name, "applied": applied })).collect();
    Ok(Outcome {
        yes: pending == 0,
        json: json!({ "migrations": rows, "pending": pending }),
        text: format!("{text}{pending} pending"),
    })
}

pub(super) async fn up(project: &Project, dry_run: bool) -> Result<Outcome, CannotRun> {
    let migrations = migrate::read_project(&project.migrations())?;
    let client = connect_project(project).await?;
    if dry_run {
        let status = migrate::project_status(&client, &migrations).await?;
        let names: Vec<String> =
            status.into_iter().filter(|(_, applied)| !applied).map(|(name, _)| name).collect();
        return Ok(Outcome::yes(
            json!({ "would_apply": names }),
            format!("would apply {}\n{}", names.len(), names.join("\n")),
        ));
    }
    let steps = apply(project, &client, &migrations).await?;
    let text: String = steps
        .iter()
        .map(|step| format!("applied {} ({} ms)\n", step.name, step.millis.unwrap_or(0)))
        .collect();
    Ok(Outcome::yes(json!({ "applied": steps }), format!("{text}{} applied", steps.len())))
}

async fn apply(
    project: &Project,
    client: &Client,
    migrations: &[migrate::Migration],
) -> Result<Vec<migrate::Step>, CannotRun> {
    let (settings, _) = project.settings()?;
    if let (Some(authenticator), Some(service)) =
        (&settings.db.authenticator_password, &settings.db.authenticator_service_password)
    {
        bootstrap(
            client,
            &LoginPasswords { control: None, authenticator: authenticator.clone(), service: service.clone() },
        )
        .await?;
    }
    let mut steps = migrate::apply_platform(client, &platform::migrations()).await?;
    apply_default_grants(client, settings.rest.default_grants).await?;
    steps.extend(migrate::apply_project(client, migrations).await?);
    if rowhouse_tenancy::refresh_references(client).await? > 0 {
        client.batch_execute("notify pgrst, 'reload schema'").await.map_err(DbError::from)?;
    }
    Ok(steps)
}
