//! The module of mail: its schema, settings and secrets, the surfaces and listeners that accept mails, and the jobs
//! that deliver them.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use rowhouse_db::migrate::Statement;
use rowhouse_db::{Control, DbSettings};
use rowhouse_http::{CallerResolver, Dialect, ServerSettings, ServiceKey, Surface};
use rowhouse_jobs::JobsSettings;
use rowhouse_jobs::builtin::Tidy;
use rowhouse_jobs::outbound::Outbound;
use rowhouse_kernel::Rng;
use rowhouse_kernel::settings::{GroupSpec, Settings};
use rowhouse_module::{
    Assembly, CannotRun, CommandGroup, HealthCheck, JobKind, KeySecret, ListenerService, ListenerSpec,
    Metric, Mode, Module, ModuleFuture, Project, Secrets, Waker, Weight,
};

use crate::dkim::Signer;
use crate::settings::{MailSettings, MailTransport};
use crate::submission::acceptor;
use crate::transport::Transport;
use crate::{
    Capture, Delivery, Drafts, Intake, KeyCheck, Lists, MailApi, MailLimits, Mailer, Submission,
    SubmissionParts, Templates, Webhook, sender,
};

/// Names of the listeners.
const SMTP: &str = "mail submission";
const CAPTURE: &str = "captured mail";
/// Offsets of the listeners' ports from the API's, in development.
const SMTP_OFFSET: u16 = 4;
const CAPTURE_OFFSET: u16 = 3;
const REMEDY: &str = "choose another --port or mail.smtp_listen";
/// Connections to the database that deliveries share, so that they never delay accepting mails.
const DELIVERY_CONNECTIONS: u32 = 4;

/// Mails: accepted over HTTP, SMTP and SQL, delivered or captured. Provides [`Mailer`]. Requires [`CallerResolver`], [`Waker`]
/// and [`Outbound`]; mails to lists need [`KeySecret`].
#[derive(Debug, Clone, Copy)]
pub struct MailModule;

impl Module for MailModule {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<MailSettings>()]
    }

    fn metrics(&self) -> &'static [Metric] {
        crate::metric::ALL
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![crate::command::GROUP]
    }

    fn check_project(&self, project: &Project, settings: &Settings) -> Result<(), CannotRun> {
        let mail = settings.get::<MailSettings>();
        let mut mistakes =
            templates(Some(project), &mail).err().map(|mistakes| mistakes.0).unwrap_or_default();
        mistakes.extend(unusable(&mail));
        if mistakes.is_empty() { Ok(()) } else { Err(CannotRun(mistakes)) }
    }

    fn generate_secrets(
        &self,
        project: &Project,
        settings: &mut Settings,
        rng: &dyn Rng,
    ) -> Result<(), CannotRun> {
        let mail = settings.get::<MailSettings>();
        if mail.webhook_url.is_some() && mail.webhook_secret.is_none() {
            let secret =
                Secrets::ensure_file(project, "mail_webhook_secret", || crate::webhook::new_secret(rng))?;
            settings.update(|mail: &mut MailSettings| mail.webhook_secret = Some(secret));
        }
        Ok(())
    }

    fn listeners(&self, settings: &Settings, mode: Mode) -> Result<Vec<ListenerSpec>, CannotRun> {
        let mail = settings.get::<MailSettings>();
        let spec = |name, address| ListenerSpec { name, address, remedy: REMEDY };
        let Mode::Development { api_port } = mode else {
            return Ok(mail.smtp_listen.clone().map(|address| spec(SMTP, address)).into_iter().collect());
        };
        let smtp = match &mail.smtp_listen {
            Some(address) => address.clone(),
            None => beside(api_port, SMTP_OFFSET)?,
        };
        let mut listeners = vec![spec(SMTP, smtp)];
        if mail.transport == MailTransport::Capture {
            listeners.push(spec(CAPTURE, beside(api_port, CAPTURE_OFFSET)?));
        }
        Ok(listeners)
    }

    fn kinds(&self, _: &Settings) -> Vec<JobKind> {
        let tidying = [crate::PRUNE, crate::SWEEP, crate::CHECK_SENDERS].map(Tidy::kind);
        [Delivery::kind(), Drafts::kind(), Webhook::kind()].into_iter().chain(tidying).collect()
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let mailer = mailer(assembly)?;
            assembly.provide(Arc::new(mailer.clone()));
            let control = assembly.origin.database.control.clone();
            let waker = assembly.require::<Waker>()?;
            let waker: crate::Waker = Arc::new(move || (waker.0)(crate::SEND));
            let (intake, tasks) = Intake::new(&mailer, &control, &waker);
            tasks.into_iter().for_each(|task| assembly.task(task));
            if assembly.origin.roles.worker {
                add_jobs(assembly, &mailer)?;
            }
            let settings = &assembly.origin.settings;
            let (mail, server) = (settings.get::<MailSettings>(), settings.get::<ServerSettings>());
            let limits = MailLimits::new(&mail, &server, &assembly.rates);
            let api = MailApi { intake: intake.clone(), control: control.clone(), limits: limits.clone() };
            assembly.surface(Surface::new("/mail/v1", Dialect::PLAIN, crate::router(api)));
            add_listeners(assembly, intake, control, limits)
        })
    }
}

/// An address on loopback, at an offset from the API's port.
fn beside(api_port: u16, offset: u16) -> Result<String, CannotRun> {
    let port = api_port.checked_add(offset);
    port.map(|port| format!("127.0.0.1:{port}"))
        .ok_or_else(|| CannotRun::because(format!("port {api_port} leaves none for mail")))
}

/// Addresses, keys and certificates that cannot be used, found before anything is started.
fn unusable(settings: &MailSettings) -> Vec<String> {
    let address = |key, text: Option<&String>| text.and_then(|text| crate::read_mailbox(key, text).err());
    let is_complete = settings.transport != MailTransport::Relay || settings.relay_host.is_some();
    let found = [
        address("mail.from", Some(&settings.from)),
        address("mail.return_path", settings.return_path.as_ref()),
        Some(settings).filter(|_| is_complete).and_then(|settings| Transport::new(settings).err()),
        Signer::new(settings).err(),
        acceptor(settings).err(),
    ];
    found.into_iter().flatten().map(|error| error.to_string()).collect()
}

/// The built-in templates, and the project's in `mail/`.
fn templates(project: Option<&Project>, settings: &MailSettings) -> Result<Arc<Templates>, CannotRun> {
    let folder = project.map(|project| project.root().join("mail")).unwrap_or_default();
    let templates = Templates::of_project(&folder, &settings.language);
    templates.map(Arc::new).map_err(|mistakes| CannotRun(mistakes.0))
}

/// The mailer as configured.
fn mailer(assembly: &Assembly) -> Result<Mailer, CannotRun> {
    let origin = &assembly.origin;
    let settings = origin.settings.get::<MailSettings>();
    let templates = templates(origin.project.as_ref(), &settings)?;
    let mailer = Mailer::new((*settings).clone(), origin.clock.clone(), origin.rng.clone())?;
    let mailer = mailer.with_templates(templates);
    let url = origin.settings.get::<ServerSettings>().public_url.clone().unwrap_or_default();
    Ok(match assembly.find::<KeySecret>() {
        Some(secret) => mailer.with_lists(Lists::new(&secret.0, &url)),
        None => mailer,
    })
}

fn add_jobs(assembly: &mut Assembly, mailer: &Mailer) -> Result<(), CannotRun> {
    if !assembly.origin.settings.get::<JobsSettings>().workers {
        return Ok(());
    }
    let origin = &assembly.origin;
    let (control, clock) = (origin.database.control.clone(), origin.clock.clone());
    let settings = origin.settings.get::<MailSettings>();
    let database = origin.settings.get::<DbSettings>();
    let pool = DbSettings { control_pool_size: DELIVERY_CONNECTIONS, ..(*database).clone() };
    let delivery = Delivery::new(
        Control::open_named("rowhouse-delivery", &origin.urls.control, &pool)?,
        (*settings).clone(),
        clock.clone(),
    )?;
    let drafts = Drafts::new(mailer.clone(), control.clone());
    let outbound = assembly.require::<Outbound>()?;
    let webhook = Webhook::new(control.clone(), &settings, (*outbound).clone(), clock)?;
    let kinds = &mut assembly.assembled.kinds;
    delivery.register(kinds);
    let recheck = sender::recheck::Recheck { control: control.clone() };
    kinds.add(Tidy::kind(crate::CHECK_SENDERS), recheck);
    drafts.register(kinds);
    webhook.register(kinds);
    assembly.check(HealthCheck::new("mail_relay", Weight::Degraded, move || delivery.check()));
    crate::SCHEDULES.iter().for_each(|schedule| assembly.schedule(*schedule));
    assembly.prepare(Arc::new(move || {
        let webhook = webhook.clone();
        Box::pin(async move { webhook.declare().await })
    }));
    Ok(())
}

fn add_listeners(
    assembly: &mut Assembly,
    intake: Intake,
    control: Control,
    limits: MailLimits,
) -> Result<(), CannotRun> {
    let addresses = assembly.origin.addresses.clone();
    if addresses.contains_key(SMTP) {
        let submission = submission(assembly, intake.clone(), control.clone(), limits)?;
        let serve = move |listener, drain| {
            let serving = rowhouse_http::accept(listener, submission.clone(), Submission::limits(), drain);
            Box::pin(async move {
                serving.await;
            }) as _
        };
        assembly.serve(SMTP, ListenerService::Protocol(Arc::new(serve)));
    }
    if addresses.contains_key(CAPTURE) {
        let clock = Arc::clone(&assembly.origin.clock);
        let capture = Capture::new(control, intake, assembly.rates.clone(), clock);
        assembly.serve(CAPTURE, ListenerService::Http(crate::capture_router(capture)));
    }
    let url = addresses.get(CAPTURE).map(|address| format!("http://{address}"));
    assembly.fact("mail_url", Some("Captured mail"), url);
    let smtp = addresses.get(SMTP);
    assembly.fact("smtp_port", None, smtp.map(std::net::SocketAddr::port));
    if let Some(address) = smtp {
        assembly.fact("smtp_address", Some("SMTP"), address.to_string());
    }
    Ok(())
}

fn submission(
    assembly: &Assembly,
    intake: Intake,
    control: Control,
    limits: MailLimits,
) -> Result<Submission, CannotRun> {
    let origin = &assembly.origin;
    let resolver = assembly.require::<CallerResolver>()?;
    let is_service_key = key_check(resolver, control.clone());
    let parts = SubmissionParts {
        intake,
        control,
        settings: (*origin.settings.get::<MailSettings>()).clone(),
        limits,
        host: host(origin.settings.get::<ServerSettings>().public_url.as_deref()),
        is_service_key,
        clock: origin.clock.clone(),
        rng: origin.rng.clone(),
    };
    Ok(Submission::new(parts)?)
}

fn key_check(resolver: Arc<CallerResolver>, control: Control) -> KeyCheck {
    Arc::new(move |key, origin| {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
        let headers = bearer.map(|bearer| HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]));
        let identity = headers.map(|headers| resolver.resolve(&headers));
        let control = control.clone();
        Box::pin(async move {
            let Ok(identity) = identity else { return false };
            match ServiceKey::require(&identity, &control, &origin).await {
                Ok(_) => true,
                Err(error) => {
                    tracing::info!(%error, "a service_role key was refused over SMTP");
                    false
                }
            }
        })
    })
}

/// The public host name, for greetings.
fn host(url: Option<&str>) -> String {
    let rest = url.and_then(|url| url.split_once("://")).map_or("localhost", |(_, rest)| rest);
    let name = rest.split(['/', ':', '[']).next().unwrap_or_default();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

impl From<crate::MailError> for CannotRun {
    fn from(error: crate::MailError) -> Self {
        Self::because(error.to_string())
    }
}

#[cfg(test)]
mod tests;
