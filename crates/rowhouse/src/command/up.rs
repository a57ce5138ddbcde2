//! `up`: everything for development in one process, with a PostgreSQL of its own.

mod banner;
mod prepare;

use std::sync::Arc;

use rowhouse_db::embedded::{Embedded, Progress};
use rowhouse_db::{Database, DatabaseUrls};
use rowhouse_http::{Server, serve};
use rowhouse_kernel::settings::Settings;
use rowhouse_mail::Templates;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::{App, Parts, Roles};
use crate::cli::UpArgs;
use crate::command::{clock, lock, rng};
use crate::mail::Ports;
use crate::outcome::{CannotRun, Outcome};
use crate::project::Project;
use crate::secrets::Secrets;
use crate::state::State;
use crate::{descriptor, safety, telemetry};

/// Runs until told to stop.
pub(super) async fn run(project: &Project, args: &UpArgs, as_json: bool) -> Result<Outcome, CannotRun> {
    let mut settings = read_settings(project, args)?;
    let templates = crate::mail::templates(project, &settings.mail)?;
    telemetry::install(settings.log.level);
    settings.server.max_connections = descriptor::provide(settings.server.max_connections);
    project.ensure_private()?;
    let _lock = lock::take(project)?;
    State::clear(project);
    let listener = listen(&mut settings).await?;
    let mail = Ports::beside(settings.server.port, &settings.mail).await?;
    let secrets = Secrets::ensure(project, &*rng())?;
    settings.auth.key_secret.get_or_insert_with(|| secrets.key_secret.clone());
    if settings.mail.webhook_url.is_some() && settings.mail.webhook_secret.is_none() {
        settings.mail.webhook_secret = Some(Secrets::ensure_webhook(project, &*rng())?);
    }
    let mut signals = Signals::install()?;
    let mut started = tokio::select! {
        server = start(project, settings, &secrets, templates) => server?,
        () = signals.next() => return Ok(ended()),
    };
    (started.state.mail_url, started.state.smtp_port) = (mail.mail_url(), mail.smtp_port());
    started.state.write(project)?;
    banner::print(&started.state, as_json);
    let following = started.embedded.as_ref().map(|embedded| {
        tokio::spawn(follow_postgres(project.clone(), started.state.clone(), embedded.watch_pid()))
    });
    let cut = started.run(listener, mail, &mut signals).await?;
    if let Some(following) = following {
        following.abort();
        let _aborted = following.await;
    }
    State::clear(project);
    tracing::info!(cut_connections = cut, "stopped");
    Ok(ended())
}

/// A server that was started again has another process id, and `state.json` says so.
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

fn ended() -> Outcome {
    Outcome::yes(json!({ "stopped": true }), "")
}

fn read_settings(project: &Project, args: &UpArgs) -> Result<Settings, CannotRun> {
    let (mut settings, sources) = project.settings()?;
    safety::apply_development_defaults(&mut settings, &sources);
    if let Some(port) = args.port {
        settings.server.port = port;
    }
    if let Some(host) = &args.host {
        settings.server.host.clone_from(host);
    }
    match safety::unsafe_settings(&settings) {
        found if found.is_empty() => Ok(settings),
        found => Err(CannotRun(found)),
    }
}

/// Takes the port before anything else is begun, and completes the settings that depend on it.
async fn listen(settings: &mut Settings) -> Result<TcpListener, CannotRun> {
    let listener = super::serve::bind(&settings.server).await?;
    let port = listener.local_addr()?.port();
    settings.server.port = port;
    let host = if settings.server.host == "0.0.0.0" { "127.0.0.1" } else { settings.server.host.as_str() };
    settings.server.public_url.get_or_insert_with(|| format!("http://{host}:{port}"));
    Ok(listener)
}

/// All that runs, before the first request is taken.
struct Started {
    app: App,
    server: Server,
    state: State,
    embedded: Option<Embedded>,
    monitor: tokio::task::JoinHandle<()>,
}

async fn start(
    project: &Project,
    settings: Settings,
    secrets: &Secrets,
    templates: Arc<Templates>,
) -> Result<Started, CannotRun> {
    let embedded = match settings.db.url {
        Some(_) => None,
        None => Some(start_postgres(project, &settings, secrets).await?),
    };
    let urls = match &embedded {
        Some(embedded) => prepare::embedded_urls(&embedded.endpoint, secrets),
        None => super::serve::urls(&settings.db, Some(secrets))?,
    };
    prepare::database(project, &settings, secrets, embedded.as_ref(), &urls).await?;
    let started = open(project, &settings, &urls, embedded.as_ref(), templates).await?;
    let (app, state, monitor) = started;
    Ok(Started { app, server: Server::from(&settings.server), state, embedded, monitor })
}

async fn start_postgres(
    project: &Project,
    settings: &Settings,
    secrets: &Secrets,
) -> Result<Embedded, CannotRun> {
    let port = settings
        .server
        .port
        .checked_add(1)
        .ok_or_else(|| CannotRun::because("port 65535 leaves none for PostgreSQL"))?;
    let report = |progress| match progress {
        Progress::Creating => tracing::info!("creating the database"),
        Progress::Starting => tracing::debug!("starting the database server"),
    };
    Ok(Embedded::start(project.root(), port, &secrets.postgres, report).await?)
}

async fn open(
    project: &Project,
    settings: &Settings,
    urls: &DatabaseUrls,
    embedded: Option<&Embedded>,
    templates: Arc<Templates>,
) -> Result<(App, State, tokio::task::JoinHandle<()>), CannotRun> {
    let (database, monitor) = Database::open(urls, &settings.db, settings.auth.live_sessions)?;
    let parts = Parts {
        settings: settings.clone(),
        database,
        control_url: urls.control.clone(),
        clock: clock(),
        rng: rng(),
        roles: Roles::ALL,
        templates,
    };
    let app = App::start(parts).await?;
    let url = settings.server.public_url.clone().unwrap_or_default();
    let (anon_key, service_role_key) = prepare::api_keys(project, &app.keys, &url)?;
    let state = State {
        port: settings.server.port,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: clock().now().format(&Rfc3339).map_err(|error| CannotRun::because(error.to_string()))?,
        db_url: prepare::superuser_url(project, embedded, urls)?,
        pg_pid: embedded.map(Embedded::pid),
        pg_data_dir: embedded.map(|embedded| embedded.paths.data.display().to_string()),
        anon_key,
        service_role_key,
        jwks_url: format!("{url}/.well-known/jwks.json"),
        mail_url: None,
        smtp_port: None,
        url,
    };
    Ok((app, state, monitor))
}

impl Started {
    /// Serves until a signal; then finishes requests in flight, and stops the database last.
    async fn run(
        self,
        listener: TcpListener,
        mail: Ports,
        signals: &mut Signals,
    ) -> Result<usize, CannotRun> {
        let (drain, draining) = watch::channel(false);
        let mail = mail.serve(&self.app.mail, &self.server, &draining)?;
        let serving = tokio::spawn(serve(listener, self.app.router.clone(), self.server, draining));
        signals.next().await;
        tracing::info!("stopping");
        let _receiver_gone = drain.send(true);
        // A second signal does not wait for requests and jobs any longer.
        let cut = tokio::select! {
            (cut, ()) = async { tokio::join!(serving, self.app.drain()) } => cut.unwrap_or(0),
            () = signals.next() => 0,
        };
        for task in mail {
            tokio::select! {
                _ended = task => {}
                () = signals.next() => break,
            }
        }
        self.app.stop();
        self.monitor.abort();
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
        Ok(cut)
    }
}

/// SIGINT and SIGTERM.
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn install() -> Result<Self, CannotRun> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
