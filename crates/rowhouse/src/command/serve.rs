//! `serve`: production against `DATABASE_URL`.

use rowhouse_db::embedded::port_owner;
use rowhouse_db::{
    DataPlaneUrls, Database, DatabaseUrls, DbError, Logins, Sharing, bootstrap, connect, migrate,
    require_sessions,
};
use rowhouse_http::{Server, serve};
use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::{AuthSettings, DbSettings, LogSettings, ServerSettings, Settings, Sources};
use rowhouse_module::{BoundListeners, CannotRun, Mode, Modules, Origin, Outcome, Project, Roles, Secrets};
use serde_json::json;
use tokio::net::TcpListener;

use crate::app::App;
use crate::cli::{ServeArgs, ServeRole};
use crate::command::signal::Signals;
use crate::command::{clock, rng};
use crate::{descriptor, safety, telemetry};

/// Runs until told to stop.
pub(super) async fn run(
    modules: &Modules,
    project: &Project,
    args: &ServeArgs,
) -> Result<Outcome, CannotRun> {
    let mut settings = read_settings(modules, project).await?;
    let urls = urls(&settings.get::<DbSettings>(), None)?;
    if rowhouse_db::url::is_remote(&urls.control)? && rowhouse_db::url::is_plain(&urls.control)? {
        tracing::warn!(
            "the database is on another machine and is spoken to in plain text; keep that network private"
        );
    }
    require_sessions(&urls).await.map_err(|error| CannotRun::because(error.to_string()))?;
    prepare(modules, &settings, &urls).await?;
    let listener = bind(&settings.get::<ServerSettings>()).await?;
    let address = listener.local_addr()?;
    let listeners = BoundListeners::bind(modules.listeners(&settings, Mode::Serve)?).await?;
    settings.update(|server: &mut ServerSettings| {
        server.public_url.get_or_insert_with(|| format!("http://{address}"));
    });
    let live_sessions = settings.get::<AuthSettings>().live_sessions;
    let database = Database::open(&urls, &settings.get::<DbSettings>(), live_sessions)?;
    let mut signals = Signals::install()?;
    let server = Server::from(&*settings.get::<ServerSettings>());
    let shutdown_delay = settings.get::<ServerSettings>().shutdown_delay;
    let origin = Origin {
        settings,
        database,
        urls,
        clock: clock(),
        rng: rng(),
        roles: roles(&args.roles),
        mode: Mode::Serve,
        project: Some(project.clone()),
        addresses: listeners.addresses(),
    };
    let app = App::start(modules, origin).await?;
    tracing::info!(%address, roles = ?args.roles, "serving");
    let (shutdown, draining) = (app.shutdown(), app.shutdown().drain());
    let others = app.serve_listeners(listeners, &draining);
    let serving = tokio::spawn(serve(listener, app.router.clone(), server, draining));
    signals.next().await;
    shutdown.begin(shutdown_delay).await;
    let (cut, ()) = tokio::join!(serving, app.stop());
    let cut = cut.unwrap_or(0);
    for task in others {
        let _ended = task.await;
    }
    tracing::info!(cut_connections = cut, "stopped");
    Ok(Outcome::yes(json!({ "stopped": true }), ""))
}

/// The settings, those kept in the database among them, when production has nothing against them.
async fn read_settings(modules: &Modules, project: &Project) -> Result<Settings, CannotRun> {
    let settings = checked(modules, project.sources()?)?.0;
    modules.check_project(project, &settings)?;
    let mut sources = project.sources()?;
    sources.add_database(stored(&urls(&settings.get::<DbSettings>(), None)?).await?);
    let (mut settings, sources) = checked(modules, sources)?;
    telemetry::install(settings.get::<LogSettings>().level);
    let notes = sources.notes();
    if !notes.is_empty() {
        tracing::warn!("PostgREST's configuration: {}", notes.join("; "));
    }
    settings.update(descriptor::raise);
    Ok(settings)
}

fn roles(given: &[ServeRole]) -> Roles {
    Roles { api: given.contains(&ServeRole::Api), worker: given.contains(&ServeRole::Worker) }
}

/// The settings, when production has nothing against them.
fn checked(modules: &Modules, mut sources: Sources) -> Result<(Settings, Sources), CannotRun> {
    let groups = modules.settings();
    let mut settings = Settings::load(&groups, &mut sources).map_err(CannotRun)?;
    safety::assume_production(&mut settings, &sources);
    match safety::unsafe_settings(&groups, &settings) {
        refused if refused.is_empty() => Ok((settings, sources)),
        refused => Err(CannotRun(refused)),
    }
}

/// Settings that PostgREST's users keep with the data plane's login.
async fn stored(urls: &DatabaseUrls) -> Result<Vec<(String, String)>, CannotRun> {
    let login = rowhouse_db::url::login(&urls.data.authenticator)?;
    let rows = connect(&urls.control)
        .await?
        .query(include_str!("../../sql/stored_settings.sql"), &[&login])
        .await
        .map_err(DbError::from)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Roles and platform schema when configured to; the data plane's powerlessness always.
async fn prepare(modules: &Modules, settings: &Settings, urls: &DatabaseUrls) -> Result<(), CannotRun> {
    let client = connect(&urls.control).await?;
    let migrations = modules.migrations();
    if settings.get::<DbSettings>().apply_migrations {
        bootstrap(&client, &Logins::new(None, &urls.data)?, Sharing::Refuse).await?;
        migrate::apply_platform(&client, &migrations).await?;
        modules.after_platform_migrations(&client, settings).await?;
    }
    migrate::require_platform(&client, &migrations).await?;
    rowhouse_db::require_sign_in(&urls.data).await?;
    safety::require_powerless_logins(&client, &urls.data).await?;
    super::exposure::warn(&client, settings).await;
    Ok(())
}

/// Binds the listener; a taken port is named with its holder.
pub(super) async fn bind(settings: &ServerSettings) -> Result<TcpListener, CannotRun> {
    TcpListener::bind((settings.host.as_str(), settings.port)).await.map_err(|error| {
        let holder = port_owner(settings.port).map(|owner| format!(" by {owner}")).unwrap_or_default();
        CannotRun::because(match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("port {} is taken{holder}; choose another with --port or server.port", settings.port)
            }
            _ => format!("cannot listen on {}:{}: {error}", settings.host, settings.port),
        })
    })
}

/// The three URLs: given, or derived from `DATABASE_URL` with the data plane's logins and passwords.
pub(super) fn urls(settings: &DbSettings, generated: Option<&Secrets>) -> Result<DatabaseUrls, CannotRun> {
    let control = settings.server_url().cloned().ok_or_else(|| {
        CannotRun::because("db.url: not set; give DATABASE_URL, or use `rowhouse up` for development")
    })?;
    let derive =
        |name: &str, given: &Option<Secret>, password: &Option<Secret>, generated: Option<&Secret>| {
            if let Some(given) = given {
                return Ok(given.clone());
            }
            let password = password.as_ref().or(generated);
            let password =
                password.ok_or_else(|| CannotRun::because(format!("db.{name}_password: not set")))?;
            rowhouse_db::url::with_login(&control, name, password).map_err(CannotRun::from)
        };
    let data = DataPlaneUrls {
        authenticator: derive(
            "authenticator",
            &settings.authenticator_url,
            &settings.authenticator_password,
            generated.map(|s| &s.authenticator),
        )?,
        service: derive(
            "authenticator_service",
            &settings.authenticator_service_url,
            &settings.authenticator_service_password,
            generated.map(|s| &s.authenticator_service),
        )?,
    };
    Ok(DatabaseUrls { control, data })
}
