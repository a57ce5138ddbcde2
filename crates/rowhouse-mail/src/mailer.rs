//! Accepts mails: stores a message and its jobs in the caller's transaction. Leaves delivery to the job's handler.

use std::sync::Arc;

use lettre::message::Mailbox;
use metrics::counter;
use rowhouse_kernel::{SharedClock, SharedRng};
use serde_json::{Map, Value};
use tokio_postgres::Client;

use crate::compose::{Composed, compose};
use crate::error::MailError;
use crate::message::{NewMail, RawMail, read_mailbox};
use crate::raw;
use crate::sender;
use crate::settings::{MailSettings, MailTransport};
use crate::store::{self, Accepted, NewMessage};
use crate::tag;
use crate::template::{Letter, Rendered, SITE_NAME, TemplateError, Templates, Variables};
use crate::unsubscribe::Lists;

/// Accepts mails. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
    templates: Arc<Templates>,
    lists: Option<Arc<Lists>>,
}

#[derive(Debug)]
struct Inner {
    settings: MailSettings,
    from: Mailbox,
    return_path: Option<Mailbox>,
    clock: SharedClock,
    rng: SharedRng,
}

/// Metadata stored with a message.
#[derive(Debug)]
struct Label<'a> {
    envelope_from: String,
    kind: &'a str,
    tag: Option<&'a str>,
    list: Option<&'a str>,
    tenant: Option<rowhouse_kernel::TenantId>,
    request_id: Option<&'a str>,
    idempotency_key: Option<&'a str>,
    credential: Option<&'a str>,
    is_urgent: bool,
}

impl Mailer {
    /// A mailer as configured.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if `mail.from` or `mail.return_path` is no address.
    pub fn new(settings: MailSettings, clock: SharedClock, rng: SharedRng) -> Result<Self, MailError> {
        let unusable = |error: MailError| MailError::Unusable(error.to_string());
        let from = read_mailbox("mail.from", &settings.from).map_err(unusable)?;
        let return_path = settings.return_path.as_deref();
        let return_path =
            return_path.map(|text| read_mailbox("mail.return_path", text)).transpose().map_err(unusable)?;
        let templates = Arc::new(Templates::embedded(&settings.language)?);
        let inner = Arc::new(Inner { settings, from, return_path, clock, rng });
        Ok(Self { inner, templates, lists: None })
    }

    /// The same with templates of a project.
    #[must_use]
    pub fn with_templates(mut self, templates: Arc<Templates>) -> Self {
        self.templates = templates;
        self
    }

    /// The same with mails that belong to a list.
    #[must_use]
    pub fn with_lists(mut self, lists: Lists) -> Self {
        self.lists = Some(Arc::new(lists));
        self
    }

    /// The signer of unsubscribe links, if configured.
    pub(crate) fn lists(&self) -> Option<&Lists> {
        self.lists.as_deref()
    }

    /// Renders a built-in or project template with `data` in the nearest available language. `SiteName` is added.
    ///
    /// # Errors
    /// [`TemplateError`], for the caller.
    pub fn fill(
        &self,
        template: &str,
        language: Option<&str>,
        mut data: Map<String, Value>,
    ) -> Result<Rendered, TemplateError> {
        let site_name = || Value::from(self.inner.settings.site_name.as_str());
        data.entry(SITE_NAME).or_insert_with(site_name);
        self.templates.fill(template, language, &data)
    }

    /// Renders a built-in template as a mail to `to` in the nearest available language; set tenant and idempotency
    /// key before sending.
    ///
    /// # Errors
    /// [`MailError::Unusable`] if the template does not render.
    pub fn write(
        &self,
        letter: Letter,
        language: Option<&str>,
        to: Mailbox,
        variables: &Variables,
    ) -> Result<NewMail, MailError> {
        let settings = &self.inner.settings;
        let mut variables = variables.clone();
        if variables.site_name.is_empty() {
            variables.site_name.clone_from(&settings.site_name);
        }
        let rendered = self.templates.write(letter, language, &variables)?;
        Ok(NewMail {
            to: vec![to],
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            kind: letter.name().to_owned(),
            is_urgent: true,
            ..NewMail::default()
        })
    }

    /// Whether mails are captured instead of delivered.
    #[must_use]
    pub fn captures(&self) -> bool {
        self.inner.settings.transport == MailTransport::Capture
    }

    /// Whether no mail is accepted: `mail.transport` is `none`.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.inner.settings.transport == MailTransport::None
    }

    /// The random generator.
    pub(crate) fn rng(&self) -> SharedRng {
        Arc::clone(&self.inner.rng)
    }

    /// Largest message accepted, in bytes.
    #[must_use]
    pub fn max_message_bytes(&self) -> u64 {
        self.inner.settings.max_message_bytes
    }

    /// Accepts a mail to be composed, in the caller's transaction.
    ///
    /// # Errors
    /// [`MailError::Invalid`] and [`MailError::TooLarge`] for the caller; else the database's.
    pub async fn send(&self, client: &Client, mail: &NewMail) -> Result<Accepted, MailError> {
        let content = mail.attachments.iter().map(|file| file.content.len()).sum::<usize>()
            + mail.text.as_ref().map_or(0, String::len)
            + mail.html.as_ref().map_or(0, String::len);
        self.require_size(content)?;
        let from = mail.from.clone().unwrap_or_else(|| self.inner.from.clone());
        let return_path = self.inner.return_path.as_ref().unwrap_or(&from).email.to_string();
        let mut composed = compose(mail, from, &*self.inner.clock, &*self.inner.rng)?;
        if mail.list.is_some() {
            let why = || MailError::Unusable("auth.key_secret: not set; mails of lists need it".to_owned());
            let headers = self.lists().ok_or_else(why)?.headers(mail)?;
            composed.mime.splice(0..0, headers.into_bytes());
        }
        let label = Label {
            envelope_from: return_path,
            kind: if mail.kind.is_empty() { "raw" } else { &mail.kind },
            tag: mail.tag.as_deref(),
            list: mail.list.as_deref(),
            tenant: mail.tenant,
            request_id: mail.request_id.as_deref(),
            idempotency_key: mail.idempotency_key.as_deref(),
            credential: None,
            is_urgent: mail.is_urgent,
        };
        self.accept(client, &composed, &label).await
    }

    /// Accepts a message composed by the client, in the caller's transaction.
    ///
    /// # Errors
    /// As of [`Mailer::send`].
    pub async fn send_raw(&self, client: &Client, mail: &RawMail) -> Result<Accepted, MailError> {
        self.require_size(mail.mime.len())?;
        let composed = raw::prepare(mail, &*self.inner.clock, &*self.inner.rng)?;
        if let (Some(tenant), Some(_)) = (mail.tenant, &mail.credential) {
            let lifetime = self.inner.settings.sender_proof_lifetime;
            let (from, authors) = (mail.from.as_ref(), &composed.authors);
            sender::require_proved(client, tenant, from, authors, lifetime).await?;
            raw::require_plain_senders(&composed)?;
        }
        let label = Label {
            envelope_from: mail.from.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: "raw",
            tag: mail.tag.as_deref(),
            list: None,
            tenant: mail.tenant,
            request_id: mail.request_id.as_deref(),
            idempotency_key: mail.idempotency_key.as_deref(),
            credential: mail.credential.as_deref(),
            is_urgent: false,
        };
        self.accept(client, &composed, &label).await
    }

    /// How long the proof of a sender's address holds.
    pub(crate) fn sender_proof_lifetime(&self) -> std::time::Duration {
        self.inner.settings.sender_proof_lifetime
    }

    fn require_size(&self, bytes: usize) -> Result<(), MailError> {
        let (bytes, most) = (bytes as u64, self.inner.settings.max_message_bytes);
        if bytes > most { Err(MailError::TooLarge { bytes, most }) } else { Ok(()) }
    }

    async fn accept(
        &self,
        client: &Client,
        composed: &Composed,
        label: &Label<'_>,
    ) -> Result<Accepted, MailError> {
        if self.is_off() {
            let why = "mail.transport: none, so no mails are accepted";
            return Err(MailError::Unusable(why.to_owned()));
        }
        self.require_size(composed.mime.len())?;
        check_label(label)?;
        let recipients: Vec<&str> = composed.recipients.iter().map(AsRef::as_ref).collect();
        let is_captured = self.captures();
        let tags = if is_captured { tag::tags(&composed.mime, label.tag, &recipients) } else { Vec::new() };
        let new = NewMessage {
            message_id: &composed.message_id,
            envelope_from: &label.envelope_from,
            sender: &composed.sender.to_string(),
            subject: &composed.subject,
            kind: label.kind,
            tag: label.tag,
            list: label.list,
            tenant: label.tenant,
            request_id: label.request_id,
            idempotency_key: label.idempotency_key,
            credential: label.credential,
            mime: &composed.mime,
            recipients,
            is_captured,
            tags,
            is_urgent: label.is_urgent,
        };
        let accepted = store::accept(client, &new).await?;
        if accepted.is_new {
            counter!("rowhouse_mail_accepted_total").increment(accepted.recipients.len() as u64);
        }
        Ok(accepted)
    }
}

fn check_label(label: &Label<'_>) -> Result<(), MailError> {
    for (name, text, most) in [
        ("kind", Some(label.kind), 100),
        ("tag", label.tag, 100),
        ("idempotency_key", label.idempotency_key, 200),
    ] {
        let Some(text) = text else { continue };
        crate::message::require_line(name, text)?;
        if text.is_empty() || text.chars().count() > most {
            return Err(MailError::invalid(format!("{name}: expected 1 to {most} characters")));
        }
    }
    Ok(())
}
