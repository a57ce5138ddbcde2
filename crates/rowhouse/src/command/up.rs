//! `up`: everything for development in one process, with a PostgreSQL of its own.

mod banner;
mod prepare;

use std::net::SocketAddr;
use std::time::Duration;

use rowhouse_auth::AuthSettings;
use rowhouse_db::embedded::{Embedded, Progress};
use rowhouse_db::{Database, DatabaseUrls, DbSettings};
use rowhouse_http::{Server, ServerSettings, serve};
use rowhouse_kernel::settings::{Settings, Source, Sources};
use rowhouse_module::{
    App, BoundListeners, CannotRun, CommandOutcome, Mode, Modules, Origin, Project, ProjectLock, Roles,
    Secrets, Signals, State,
};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::UpArgs;
use crate::command::instance::{Running, record};
use crate::command::status::is_ready;
use crate::command::{clock, consent, rng};
use crate::telemetry::{self, LogSettings};
use crate::{descriptor, memory, safety};

/// How long `up` waits before it announces a server that is not ready, and how often it asks.
const READY_LIMIT: Duration = Duration::from_secs(30);
const READY_INTERVAL: Duration = Duration::from_millis(50);

/// Runs until a signal ends it. With `--json` the document is printed when it is ready, and nothing at the end.
pub(super) async fn run(
    modules: &Modules,
    project: &Project,
    args: &UpArgs,
    as_json: bool,
) -> Result<CommandOutcome, CannotRun> {
    let mut settings = read_settings(modules, project, args).await?;
    telemetry::install(settings.get::<LogSettings>().level, args.log_format);
    settings.update(descriptor::raise);
    project.ensure_private()?;
    let _lock = ProjectLock::take(project)?;
    State::clear(project);
    let listener = listen(&mut settings).await?;
    let mode = Mode::Development { api_port: settings.get::<ServerSettings>().port };
    let listeners = BoundListeners::bind(modules.listeners(&settings, mode)?).await?;
    let secrets = Secrets::ensure(project, &*rng())?;
    modules.generate_secrets(project, &mut settings, &*rng())?;
    let mut signals = Signals::install()?;
    let start = Start { modules, project, settings, secrets, mode };
    let started = tokio::select! {
        started = start.run(&listeners) => started?,
        () = signals.next() => return Ok(ended()),
    };
    started.state.write(project)?;
    let _recorded = record(modules, project, &start.settings, &Running::up(listener.local_addr()?));
    let (state, facts) = (started.state.clone(), started.app.facts.clone());
    let announce = |is_ready| banner::print(project, (&state, is_ready), &facts, as_json);
    let following = started.embedded.as_ref().map(|embedded| {
        tokio::spawn(follow_postgres(project.clone(), started.state.clone(), embedded.watch_pid()))
    });
    let cut = started.serve(listener, listeners, &mut signals, announce).await;
    if let Some(following) = following {
        following.abort();
        let _aborted = following.await;
    }
    State::clear(project);
    tracing::info!(cut_connections = cut, "stopped");
    Ok(if as_json { CommandOutcome::yes(Value::Null, "") } else { ended() })
}

/// Updates `state.json` when PostgreSQL was restarted under another process id.
async fn follow_postgres(project: Project, mut state: State, mut pid: watch::Receiver<i32>) {
    loop {
        let now = *pid.borrow_and_update();
        if now != 0 && state.pg_pid != Some(now) {
            state.pg_pid = Some(now);
            if let Err(error) = state.write(&project) {
                tracing::warn!(?error, "state.json could not be brought up to date");
            }
        }
        if pid.changed().await.is_err() {
            return;
        }
    }
}

fn ended() -> CommandOutcome {
    CommandOutcome::yes(json!({ "stopped": true }), "")
}

async fn read_settings(modules: &Modules, project: &Project, args: &UpArgs) -> Result<Settings, CannotRun> {
    let groups = modules.settings();
    let mut sources = project.sources()?;
    let (mut settings, mistakes) = Settings::read(&groups, &mut sources);
    if settings.is_development() {
        settings.apply_development_defaults(&groups, &sources);
    }
    settings.update(|server: &mut ServerSettings| {
        server.port = args.port.unwrap_or(server.port);
        server.host = args.host.clone().unwrap_or_else(|| server.host.clone());
    });
    let reasons = safety::reasons(modules, project, &settings, mistakes, Vec::new());
    safety::require_none(&settings, reasons).await?;
    require_meant(&settings, &sources, args.yes)?;
    Ok(settings)
}

/// `DATABASE_URL` may be meant for another program: names its database and requires consent.
fn require_meant(settings: &Settings, sources: &Sources, yes: bool) -> Result<(), CannotRun> {
    let inherited = Source::Variable("DATABASE_URL".to_owned());
    match &settings.get::<DbSettings>().url {
        Some(url) if sources.source("db", "url") == Some(&inherited) => {
            let database = rowhouse_db::url::describe(url)?;
            let what = format!(
                "DATABASE_URL is set: roles, platform and project migrations go into the database {database}, and no PostgreSQL is started"
            );
            consent::require(yes, &what)
        }
        _ => Ok(()),
    }
}

/// Binds the port before anything else, and completes the settings that depend on it.
async fn listen(settings: &mut Settings) -> Result<TcpListener, CannotRun> {
    let listener = super::serve::bind(&settings.get::<ServerSettings>()).await?;
    let port = listener.local_addr()?.port();
    settings.update(|server: &mut ServerSettings| {
        server.port = port;
        let url = server.local_url();
        server.public_url.get_or_insert(url);
    });
    Ok(listener)
}

/// Inputs of the start.
struct Start<'a> {
    modules: &'a Modules,
    project: &'a Project,
    settings: Settings,
    secrets: Secrets,
    mode: Mode,
}

/// Everything that runs before the first request is accepted.
struct Started {
    app: App,
    server: Server,
    shutdown_delay: Duration,
    state: State,
    embedded: Option<Embedded>,
}

impl Start<'_> {
    async fn run(&self, listeners: &BoundListeners) -> Result<Started, CannotRun> {
        let db = self.settings.get::<DbSettings>();
        let embedded = match db.server_url() {
            Some(_) => None,
            None => Some(self.start_postgres().await?),
        };
        let urls = match &embedded {
            Some(embedded) => prepare::embedded_urls(&embedded.endpoint, &self.secrets),
            None => super::serve::lasting_urls(&db, Some(&self.secrets)).await?,
        };
        let Self { modules, project, settings, secrets, .. } = self;
        prepare::database(modules, project, settings, secrets, embedded.as_ref(), &urls).await?;
        let app = self.start_app(&urls, listeners).await?;
        let state = self.state(&app, &urls, embedded.as_ref())?;
        let server = Server::from(&*settings.get::<ServerSettings>());
        // In development there is no load balancer to wait for.
        let shutdown_delay = match settings.is_production() {
            true => settings.get::<ServerSettings>().shutdown_delay,
            false => Duration::ZERO,
        };
        Ok(Started { app, server, shutdown_delay, state, embedded })
    }

    async fn start_postgres(&self) -> Result<Embedded, CannotRun> {
        let port = self.settings.get::<ServerSettings>().port;
        let port = port.checked_add(1);
        let port = port.ok_or_else(|| CannotRun::because("port 65535 leaves none for PostgreSQL"))?;
        let report = |progress| match progress {
            Progress::Creating => tracing::info!("creating the database"),
            Progress::Starting => tracing::debug!("starting the database server"),
        };
        Ok(Embedded::start(self.project.root(), port, &self.secrets.postgres, report).await?)
    }

    async fn start_app(&self, urls: &DatabaseUrls, listeners: &BoundListeners) -> Result<App, CannotRun> {
        let live_sessions = self.settings.get::<AuthSettings>().live_sessions;
        let database = Database::open(urls, &self.settings.get::<DbSettings>(), live_sessions)?;
        let origin = Origin {
            settings: self.settings.clone(),
            database,
            urls: urls.clone(),
            clock: clock(),
            rng: rng(),
            roles: Roles::ALL,
            mode: self.mode,
            project: Some(self.project.clone()),
            addresses: listeners.addresses(),
        };
        App::start(self.modules, origin).await
    }

    fn state(&self, app: &App, urls: &DatabaseUrls, embedded: Option<&Embedded>) -> Result<State, CannotRun> {
        let server = self.settings.get::<ServerSettings>();
        let started_at = clock().now().format(&Rfc3339);
        Ok(State {
            url: server.public_url.clone().unwrap_or_default(),
            port: server.port,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: started_at.map_err(|error| CannotRun::because(error.to_string()))?,
            db_url: prepare::superuser_url(self.project, embedded, urls)?,
            pg_pid: embedded.map(Embedded::pid),
            pg_data_dir: embedded.map(|embedded| embedded.paths.data.display().to_string()),
            facts: app.facts.iter().map(|fact| (fact.key.to_owned(), fact.value.clone())).collect(),
        })
    }
}

/// Waits until requests are answered; false if they are not in time.
async fn ready(address: std::io::Result<SocketAddr>) -> bool {
    let Ok(address) = address else { return false };
    let asking = async {
        while !is_ready(&address.to_string()).await {
            tokio::time::sleep(READY_INTERVAL).await;
        }
    };
    tokio::time::timeout(READY_LIMIT, asking).await.is_ok()
}

impl Started {
    /// Serves until a signal, and announces it once requests are answered; then finishes those in flight, and stops the
    /// database last.
    async fn serve(
        self,
        listener: TcpListener,
        listeners: BoundListeners,
        signals: &mut Signals,
        announce: impl FnOnce(bool),
    ) -> usize {
        let address = listener.local_addr();
        let (shutdown, draining) = (self.app.shutdown(), self.app.shutdown().drain());
        let others = self.app.serve_listeners(listeners, &draining);
        let serving = tokio::spawn(serve(listener, self.app.router.clone(), self.server, draining));
        tokio::select! {
            is_ready = ready(address) => {
                memory::return_freed();
                announce(is_ready);
                signals.next().await;
            }
            () = signals.next() => {}
        }
        tracing::info!("stopping");
        // A second signal ends at once, without waiting for requests and jobs.
        tokio::select! {
            () = shutdown.begin(self.shutdown_delay) => {}
            () = signals.next() => shutdown.begin(Duration::ZERO).await,
        }
        let cut = tokio::select! {
            (cut, ()) = async { tokio::join!(serving, self.app.stop()) } => cut.unwrap_or(0),
            () = signals.next() => 0,
        };
        for task in others {
            tokio::select! {
                _ended = task => {}
                () = signals.next() => break,
            }
        }
        drop(self.app);
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
        cut
    }
}
