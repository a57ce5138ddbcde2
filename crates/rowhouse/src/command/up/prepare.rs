//! Prepares a database for `up`: roles, platform schema, project schema, seed.

use rowhouse_db::embedded::{Embedded, Endpoint};
use rowhouse_db::{DataPlaneUrls, DatabaseUrls, Logins, Sharing, bootstrap, connect, migrate};
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, Modules, Project, Secrets};
use tokio_postgres::Client;

use crate::command::migrate::lint::{Verdict, before_run};
use crate::safety;

/// URLs over the embedded server's Unix socket.
pub(super) fn embedded_urls(endpoint: &Endpoint, secrets: &Secrets) -> DatabaseUrls {
    let data = DataPlaneUrls {
        authenticator: endpoint.socket_url("authenticator", &secrets.authenticator),
        service: endpoint.socket_url("authenticator_service", &secrets.authenticator_service),
    };
    let control = endpoint.socket_url("rowhouse", &secrets.rowhouse);
    DatabaseUrls { direct: control.clone(), control, data }
}

/// The URL for people and their tools.
pub(super) fn superuser_url(
    project: &Project,
    embedded: Option<&Embedded>,
    urls: &DatabaseUrls,
) -> Result<String, CannotRun> {
    let Some(embedded) = embedded else { return Ok(urls.direct.expose().to_owned()) };
    let secrets = Secrets::ensure(project, &*crate::command::rng())?;
    Ok(embedded.endpoint.tcp_url("postgres", &secrets.postgres).expose().to_owned())
}

/// Runs every step, in order; each is idempotent.
pub(super) async fn database(
    modules: &Modules,
    project: &Project,
    settings: &Settings,
    secrets: &Secrets,
    embedded: Option<&Embedded>,
    urls: &DatabaseUrls,
) -> Result<(), CannotRun> {
    let migrations = crate::command::migrate::read_files(project)?;
    let (admin_url, control, sharing) = match embedded {
        Some(embedded) => {
            let url = embedded.endpoint.socket_url("postgres", &secrets.postgres);
            (url, Some(secrets.rowhouse.clone()), Sharing::Accept)
        }
        None => (urls.direct.clone(), None, Sharing::Refuse),
    };
    let admin = connect(&admin_url).await?;
    rowhouse_backup::require_whole(&admin).await?;
    if let Err(error) = rowhouse_db::scratch::remove_leftovers(&admin).await {
        tracing::warn!(%error, "databases that killed commands have left could not be dropped");
    }
    if embedded.is_some() {
        rowhouse_db::restore_logins(&admin, &urls.data).await?;
    }
    bootstrap(&admin, &Logins::new(control, &urls.data)?, sharing).await?;
    match embedded {
        Some(_) => rowhouse_db::require_sign_in(&urls.data).await?,
        None => crate::command::serve::require_data_plane(&urls.data).await?,
    }
    let client = connect(&urls.direct).await?;
    migrate::apply_platform(&client, &modules.migrations()).await?;
    modules.after_platform_migrations(&client, settings).await?;
    migrate::create_extensions(&admin, &migrations).await?;
    let note = judged(&client, settings, &migrations).await?;
    migrate::apply_project_noted(&client, &migrations, &note).await?;
    modules.after_project_migrations(&client, settings).await?;
    safety::require_powerless_logins(&client, &urls.data).await?;
    crate::command::exposure::warn(&client, settings).await;
    if embedded.is_some() {
        migrate::apply_seed(&client, std::fs::read_to_string(project.root().join("seed.sql")).ok()).await?;
    }
    Ok(())
}

/// Prints what lint finds; in production its errors refuse the start.
async fn judged(
    client: &Client,
    settings: &Settings,
    migrations: &[migrate::Migration],
) -> Result<migrate::RunNote, CannotRun> {
    match before_run(client, settings, migrations, false).await? {
        Verdict::Run(linted) => Ok(migrate::RunNote { by: String::new(), linted }),
        Verdict::Refused(outcome) => Err(CannotRun(outcome.text.lines().map(str::to_owned).collect())),
    }
}
