//! `serve`: production against `DATABASE_URL`.

use std::time::Duration;

use rowhouse_auth::AuthSettings;
use rowhouse_db::embedded::port_owner;
use rowhouse_db::{
    DataPlaneUrls, Database, DatabaseUrls, DbError, DbSettings, Logins, PoolerError, Sharing, bootstrap,
    connect, migrate, require_control_sessions, require_data_sessions,
};
use rowhouse_http::{Server, ServerSettings, serve};
use rowhouse_jobs::JobsSettings;
use rowhouse_jobs::schedule::clock_mistake;
use rowhouse_kernel::settings::{Settings, Sources};
use rowhouse_module::{
    App, BoundListeners, CannotRun, CommandOutcome, Mode, Modules, Origin, Project, Roles, Secrets, Signals,
    database_urls,
};
use rowhouse_rest::postgrest;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cli::{ServeArgs, ServeRole};
use crate::command::instance::{Running, record};
use crate::command::{clock, rng};
use crate::telemetry::{self, LogSettings};
use crate::{descriptor, memory, safety};

/// With `--retry` or `server.start_retry`: the pause before the second attempt, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs until a signal ends it.
pub(super) async fn run(
    modules: &Modules,
    project: &Project,
    args: &ServeArgs,
) -> Result<CommandOutcome, CannotRun> {
    let mut signals = Signals::install()?;
    let started = tokio::select! {
        started = attempts(modules, project, args) => started?,
        () = signals.next() => return Ok(ended()),
    };
    let Started { app, listener, listeners, settings } = started;
    let server = Server::from(&*settings.get::<ServerSettings>());
    let shutdown_delay = settings.get::<ServerSettings>().shutdown_delay;
    let address = listener.local_addr()?;
    let _recorded = record(modules, project, &settings, &Running::serve(address));
    memory::return_freed();
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
    Ok(ended())
}

/// A program that has started and does not accept connections yet.
struct Started {
    app: App,
    listener: TcpListener,
    listeners: BoundListeners,
    settings: Settings,
}

fn ended() -> CommandOutcome {
    CommandOutcome::yes(json!({ "stopped": true }), "")
}

/// Mistakes in the configuration end the start. So does an unavailable, read-only or unprepared database or a port that is
/// taken, or with `--retry` or `server.start_retry` it is retried until a signal.
async fn attempts(modules: &Modules, project: &Project, args: &ServeArgs) -> Result<Started, CannotRun> {
    let local = checked(modules, project, project.sources()?).await?.0;
    let retries = args.retry || local.get::<ServerSettings>().start_retry;
    if retries {
        telemetry::install(local.get::<LogSettings>().level, args.log_format);
    }
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt(modules, project, args, &local).await {
            Err(error) if retries => {
                tracing::warn!("cannot start: {}; trying again in {pause:?}", error.0.join("; "));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

/// Reads the settings that are stored in the database, checks that the database is prepared, and starts.
async fn attempt(
    modules: &Modules,
    project: &Project,
    args: &ServeArgs,
    local: &Settings,
) -> Result<Started, CannotRun> {
    let settings = with_stored(modules, project, args, local).await?;
    let urls = lasting_urls(&settings.get::<DbSettings>(), None).await?;
    if rowhouse_db::url::is_remote(&urls.control)? && rowhouse_db::url::is_plain(&urls.control)? {
        tracing::warn!(
            "the database is on another machine and is spoken to in plain text; keep that network private"
        );
    }
    prepare(modules, &settings, &urls).await?;
    if !(roles(&args.roles).worker && settings.get::<JobsSettings>().workers) {
        warn_of_clock(&urls).await?;
    }
    start(modules, project, args, settings, urls).await
}

async fn start(
    modules: &Modules,
    project: &Project,
    args: &ServeArgs,
    mut settings: Settings,
    urls: DatabaseUrls,
) -> Result<Started, CannotRun> {
    let listener = bind(&settings.get::<ServerSettings>()).await?;
    let address = listener.local_addr()?;
    let listeners = BoundListeners::bind(modules.listeners(&settings, Mode::Serve)?).await?;
    settings.update(|server: &mut ServerSettings| {
        server.public_url.get_or_insert_with(|| format!("http://{address}"));
    });
    let live_sessions = settings.get::<AuthSettings>().live_sessions;
    let database = Database::open(&urls, &settings.get::<DbSettings>(), live_sessions)?;
    let origin = Origin {
        settings: settings.clone(),
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
    Ok(Started { app, listener, listeners, settings })
}

/// The settings including those stored in the database, if production accepts them.
async fn with_stored(
    modules: &Modules,
    project: &Project,
    args: &ServeArgs,
    local: &Settings,
) -> Result<Settings, CannotRun> {
    let mut sources = project.sources()?;
    let stored = stored(&database_urls(&local.get::<DbSettings>(), None)?).await?;
    sources.add_database(postgrest::from_database(stored));
    let (mut settings, sources) = checked(modules, project, sources).await?;
    telemetry::install(settings.get::<LogSettings>().level, args.log_format);
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

/// The settings, or every reason against them.
async fn checked(
    modules: &Modules,
    project: &Project,
    mut sources: Sources,
) -> Result<(Settings, Sources), CannotRun> {
    let (mut settings, mistakes) = Settings::read(&modules.settings(), &mut sources);
    safety::assume_production(&mut settings, &sources);
    let missing = database_urls(&settings.get::<DbSettings>(), None).err();
    let missing = missing.map(|error| error.0).unwrap_or_default();
    let reasons = safety::reasons(modules, project, &settings, mistakes, missing);
    safety::require_none(&settings, reasons).await?;
    Ok((settings, sources))
}

/// Settings that PostgREST's users store in the data plane's login role.
async fn stored(urls: &DatabaseUrls) -> Result<Vec<(String, String)>, CannotRun> {
    let login = rowhouse_db::url::login(&urls.data.authenticator)?;
    let rows = connect(&urls.direct)
        .await?
        .query(include_str!("../../sql/stored_settings.sql"), &[&login])
        .await
        .map_err(DbError::from)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Prepares roles and platform schema if configured; always checks that the data plane's logins have no rights.
async fn prepare(modules: &Modules, settings: &Settings, urls: &DatabaseUrls) -> Result<(), CannotRun> {
    let client = connect(&urls.direct).await?;
    let migrations = modules.migrations();
    if settings.get::<DbSettings>().apply_migrations {
        rowhouse_backup::require_whole(&client).await?;
        bootstrap(&client, &Logins::new(None, &urls.data)?, Sharing::Refuse).await?;
        migrate::apply_platform(&client, &migrations).await?;
        modules.after_platform_migrations(&client, settings).await?;
    }
    migrate::require_platform(&client, &migrations).await?;
    require_data_plane(&urls.data).await?;
    safety::require_powerless_logins(&client, &urls.data).await?;
    super::exposure::warn(&client, settings).await;
    Ok(())
}

/// A worker looks at the clock again and again, and says so itself.
async fn warn_of_clock(urls: &DatabaseUrls) -> Result<(), CannotRun> {
    let mistake = clock_mistake(&connect(&urls.direct).await?, &*clock()).await?;
    if let Some(mistake) = mistake {
        tracing::warn!("{mistake}");
    }
    Ok(())
}

/// Binds the listener; an error names the process that uses the port.
pub(super) async fn bind(settings: &ServerSettings) -> Result<TcpListener, CannotRun> {
    TcpListener::bind((settings.bare_host(), settings.port)).await.map_err(|error| {
        let holder = port_owner(settings.port).map(|owner| format!(" by {owner}")).unwrap_or_default();
        CannotRun::because(match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("port {} is taken{holder}; choose another with server.port (ROWHOUSE_SERVER__PORT), or with --port of `up`", settings.port)
            }
            _ => format!("cannot listen on {}: {error}", settings.authority()),
        })
    })
}

/// The URLs, if those of the control plane lead to sessions that stay. If `db.url` leads to a pooler that shares sessions,
/// all connections use `db.direct_url`.
pub(super) async fn lasting_urls(
    settings: &DbSettings,
    generated: Option<&Secrets>,
) -> Result<DatabaseUrls, CannotRun> {
    let pooled = database_urls(settings, generated)?;
    match (require_control_sessions(&pooled).await, &settings.direct_url) {
        (Ok(()), _) => Ok(pooled),
        (Err(PoolerError::SharedSessions { setting }), Some(direct)) => {
            tracing::info!(
                "{setting} leads to a pooler that shares sessions; all connections use db.direct_url"
            );
            let direct = DbSettings { url: Some(direct.clone()), ..settings.clone() };
            let direct = database_urls(&direct, generated)?;
            require_control_sessions(&direct).await.map_err(because)?;
            Ok(direct)
        }
        (Err(error), _) => Err(because(error)),
    }
}

/// Requires that both logins of the data plane can sign in, to sessions that stay.
pub(super) async fn require_data_plane(urls: &DataPlaneUrls) -> Result<(), CannotRun> {
    rowhouse_db::require_sign_in(urls).await?;
    require_data_sessions(urls).await.map_err(because)
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn because(error: PoolerError) -> CannotRun {
    CannotRun::because(error.to_string())
}
