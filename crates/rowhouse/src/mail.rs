//! Mail in this process: who takes mails in, and on which ports. What becomes of them is left to `rowhouse-mail`.

use std::sync::Arc;

use axum::Router;
use http::{HeaderMap, HeaderValue, header};
use rowhouse_auth::KeyStore;
use rowhouse_db::Control;
use rowhouse_http::{CallerResolver, ForeignTokens, Server, serve};
use rowhouse_jobs::outbound::Outbound;
use rowhouse_kernel::settings::{DbSettings, MailSettings, Settings};
use rowhouse_kernel::{Secret, SharedClock, SharedRng};
use rowhouse_mail::{
    Delivery, Drafts, Intake, KeyCheck, Lists, MailApi, Mailer, Submission, SubmissionParts, Templates,
    Webhook,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::Parts;
use crate::outcome::CannotRun;
use crate::project::Project;

/// From the API's port to that of captured mail, and of SMTP submission.
const CAPTURE_OFFSET: u16 = 3;
const SMTP_OFFSET: u16 = 4;
/// Connections to the database that deliveries share.
const DELIVERING: u32 = 4;

/// The program's templates, and the project's in `mail/`.
///
/// # Errors
/// Every mistake in the project's, with file and line.
pub(crate) fn templates(project: &Project, settings: &MailSettings) -> Result<Arc<Templates>, CannotRun> {
    let templates = Templates::of_project(&project.root().join("mail"), &settings.language);
    templates.map(Arc::new).map_err(|mistakes| CannotRun(mistakes.0))
}

/// What writes mails and stores them.
///
/// # Errors
/// If `[mail]` cannot work.
pub(crate) fn mailer(parts: &Parts) -> Result<Mailer, CannotRun> {
    let (settings, clock, rng) = (&parts.settings, Arc::clone(&parts.clock), Arc::clone(&parts.rng));
    let mailer = Mailer::new(settings.mail.clone(), clock, rng)?.with_templates(Arc::clone(&parts.templates));
    let url = settings.server.public_url.as_deref().unwrap_or_default();
    Ok(match &settings.auth.key_secret {
        Some(secret) => mailer.with_lists(Lists::new(secret, url)),
        None => mailer,
    })
}

/// What writes mails that were asked for from SQL, in a process that runs jobs.
///
/// # Errors
/// If `[mail]` cannot work.
pub(crate) fn drafts(parts: &Parts) -> Result<Drafts, CannotRun> {
    Ok(Drafts::new(mailer(parts)?, parts.database.control.clone()))
}

/// What delivers mails, in a process that runs jobs.
///
/// # Errors
/// If `[mail]` cannot work.
pub(crate) fn delivery(parts: &Parts) -> Result<Delivery, CannotRun> {
    // Of its own, so that deliveries never keep mails from being taken in.
    let settings = DbSettings { control_pool_size: DELIVERING, ..parts.settings.db.clone() };
    let (control, clock) = (Control::open(&parts.control_url, &settings)?, Arc::clone(&parts.clock));
    Delivery::new(control, parts.settings.mail.clone(), clock)
        .map_err(|error| CannotRun::because(error.to_string()))
}

/// What tells the customer's software of mails, in a process that runs jobs.
///
/// # Errors
/// If `[mail]` cannot work.
pub(crate) fn webhook(parts: &Parts, outbound: &Outbound) -> Result<Webhook, CannotRun> {
    let (control, clock) = (parts.database.control.clone(), Arc::clone(&parts.clock));
    Webhook::new(control, &parts.settings.mail, outbound.clone(), clock)
        .map_err(|error| CannotRun::because(error.to_string()))
}

/// Takes mails in.
pub(crate) struct Mail {
    intake: Intake,
    control: Control,
    settings: MailSettings,
    is_service_key: KeyCheck,
    host: String,
    clock: SharedClock,
    rng: SharedRng,
}

impl Mail {
    /// # Errors
    /// If `[mail]` cannot work.
    pub(crate) fn new(
        settings: &Settings,
        control: &Control,
        keys: &KeyStore,
        intake: Intake,
        clock: SharedClock,
        rng: SharedRng,
    ) -> Result<Self, CannotRun> {
        let foreign = ForeignTokens::from_settings(&settings.auth).map_err(CannotRun::because)?;
        let resolver = CallerResolver::new(keys.shared(), foreign, Arc::clone(&clock));
        Ok(Self {
            intake,
            control: control.clone(),
            settings: settings.mail.clone(),
            is_service_key: Arc::new(move |key| is_service_key(&resolver, key)),
            host: host(settings.server.public_url.as_deref()),
            clock,
            rng,
        })
    }

    /// The paths below `/mail/v1`.
    pub(crate) fn router(&self) -> Router {
        rowhouse_mail::router(MailApi { intake: self.intake.clone(), control: self.control.clone() })
    }

    fn submission(&self) -> Result<Submission, CannotRun> {
        let parts = SubmissionParts {
            intake: self.intake.clone(),
            control: self.control.clone(),
            settings: self.settings.clone(),
            host: self.host.clone(),
            is_service_key: Arc::clone(&self.is_service_key),
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
        };
        Submission::new(parts).map_err(|error| CannotRun::because(error.to_string()))
    }
}

fn is_service_key(resolver: &CallerResolver, key: &Secret) -> bool {
    let Ok(bearer) = HeaderValue::from_str(&format!("Bearer {}", key.expose())) else { return false };
    let headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    resolver.resolve(&headers).caller().is_ok_and(|caller| caller.is_service())
}

/// The public name, for greetings.
fn host(url: Option<&str>) -> String {
    let rest = url.and_then(|url| url.split_once("://")).map_or("localhost", |(_, rest)| rest);
    let name = rest.split(['/', ':', '[']).next().unwrap_or_default();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Ports that are taken before anything else is begun.
pub(crate) struct Ports {
    smtp: Option<TcpListener>,
    capture: Option<TcpListener>,
}

impl Ports {
    /// Production's: submission where it is configured.
    ///
    /// # Errors
    /// If a port cannot be had.
    pub(crate) async fn configured(settings: &MailSettings) -> Result<Self, CannotRun> {
        let smtp = match &settings.smtp_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        Ok(Self { smtp, capture: None })
    }

    /// Development's: beside the API's port, on this machine. The mailbox only where mail is captured.
    ///
    /// # Errors
    /// If a port cannot be had.
    pub(crate) async fn beside(api_port: u16, settings: &MailSettings) -> Result<Self, CannotRun> {
        let beside = |offset: u16| {
            let port = api_port.checked_add(offset);
            port.map(|port| format!("127.0.0.1:{port}"))
                .ok_or_else(|| CannotRun::because(format!("port {api_port} leaves none for mail")))
        };
        let capture = match settings.transport {
            rowhouse_kernel::settings::MailTransport::Capture => Some(bind(&beside(CAPTURE_OFFSET)?).await?),
            _ => None,
        };
        let smtp = match &settings.smtp_listen {
            Some(address) => bind(address).await?,
            None => bind(&beside(SMTP_OFFSET)?).await?,
        };
        Ok(Self { smtp: Some(smtp), capture })
    }

    /// Where captured mail is looked at.
    pub(crate) fn mail_url(&self) -> Option<String> {
        Some(format!("http://{}", self.capture.as_ref()?.local_addr().ok()?))
    }

    /// Where mail is handed in.
    pub(crate) fn smtp_port(&self) -> Option<u16> {
        Some(self.smtp.as_ref()?.local_addr().ok()?.port())
    }

    /// Serves them until `drain` turns true. The tasks end once what is under way has.
    ///
    /// # Errors
    /// If the certificate cannot be used.
    pub(crate) fn serve(
        self,
        mail: &Mail,
        server: &Server,
        drain: &watch::Receiver<bool>,
    ) -> Result<Vec<JoinHandle<()>>, CannotRun> {
        let mut tasks = Vec::new();
        if let Some(listener) = self.smtp {
            tasks.push(tokio::spawn(mail.submission()?.serve(listener, drain.clone())));
        }
        if let Some(listener) = self.capture {
            let router = rowhouse_mail::capture_router(mail.control.clone());
            let (server, drain) = (server.clone(), drain.clone());
            tasks.push(tokio::spawn(async move {
                serve(listener, router, server, drain).await;
            }));
        }
        Ok(tasks)
    }
}

async fn bind(address: &str) -> Result<TcpListener, CannotRun> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => CannotRun::because(format!(
            "{address}, for mail, is taken; choose another --port or mail.smtp_listen"
        )),
        _ => CannotRun::because(format!("cannot listen on {address} for mail: {error}")),
    })
}
