//! Parses the JSON of a mail to be sent. Pure.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_kernel::TenantId;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::MailError;
use crate::mailer::Mailer;
use crate::message::{Attachment, Mailbox, NewMail, read_mailbox};
use crate::template::{TemplateError, UNSUBSCRIBE_URL};
use crate::unsubscribe;

/// Addresses of each list.
const MOST_RECIPIENTS: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    from: Option<String>,
    to: Option<Addresses>,
    cc: Option<Addresses>,
    bcc: Option<Addresses>,
    reply_to: Option<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
    template: Option<String>,
    language: Option<String>,
    data: Option<Map<String, Value>>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    attachments: Vec<File>,
    tag: Option<String>,
    list: Option<String>,
    tenant: Option<TenantId>,
    idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    content_type: Option<String>,
    content_id: Option<String>,
    /// Base64.
    content: String,
}

/// A parsed request.
#[derive(Debug)]
pub(crate) struct MailRequest {
    /// Without subject and content if a template provides them.
    mail: NewMail,
    template: Option<TemplateUse>,
}

/// A template, its language and data.
#[derive(Debug)]
struct TemplateUse {
    name: String,
    language: Option<String>,
    data: Map<String, Value>,
}

impl MailRequest {
    /// The mail, with its template rendered.
    pub(crate) fn write(self, mailer: &Mailer) -> Result<NewMail, TemplateError> {
        let Self { mail, template: Some(mut template_use) } = self else { return Ok(self.mail) };
        let link = mailer.lists().filter(|_| mail.list.is_some()).and_then(|lists| lists.link_of(&mail).ok());
        if let Some(link) = link {
            template_use.data.insert(UNSUBSCRIBE_URL.to_owned(), link.into());
        }
        let filled = mailer.fill(&template_use.name, template_use.language.as_deref(), template_use.data)?;
        Ok(NewMail {
            subject: filled.subject,
            text: filled.text,
            html: filled.html,
            kind: template_use.name,
            ..mail
        })
    }
}

/// Parses a mail.
pub(crate) fn read(body: &[u8]) -> Result<MailRequest, MailError> {
    let mut body: Body =
        serde_json::from_slice(body).map_err(|error| MailError::invalid(error.to_string()))?;
    let template = template_use(&mut body)?;
    let one = |field, text: Option<String>| text.map(|text| read_mailbox(field, &text)).transpose();
    let mail = NewMail {
        from: one("from", body.from)?,
        to: many("to", body.to)?,
        cc: many("cc", body.cc)?,
        bcc: many("bcc", body.bcc)?,
        reply_to: one("reply_to", body.reply_to)?,
        subject: body.subject.unwrap_or_default(),
        text: body.text,
        html: body.html,
        headers: body.headers.into_iter().collect(),
        attachments: body.attachments.into_iter().map(file).collect::<Result<_, _>>()?,
        tag: body.tag,
        list: body.list,
        tenant: body.tenant,
        idempotency_key: body.idempotency_key,
        ..NewMail::default()
    };
    if mail.list.is_some() {
        unsubscribe::require_fit(&mail)?;
    }
    Ok(MailRequest { mail, template })
}

/// A mail's content comes from its template or from the caller, not from both.
fn template_use(body: &mut Body) -> Result<Option<TemplateUse>, MailError> {
    let Some(name) = body.template.take() else {
        return match (&body.language, &body.data) {
            (None, None) => Ok(None),
            (Some(_), _) => Err(MailError::invalid("language: belongs to a template, and none is named")),
            (None, Some(_)) => Err(MailError::invalid("data: belongs to a template, and none is named")),
        };
    };
    for (field, text) in [("subject", &body.subject), ("text", &body.text), ("html", &body.html)] {
        if text.is_some() {
            return Err(MailError::invalid(format!("{field}: comes from the template")));
        }
    }
    let data = body.data.take().unwrap_or_default();
    Ok(Some(TemplateUse { name, language: body.language.take(), data }))
}

fn many(field: &str, addresses: Option<Addresses>) -> Result<Vec<Mailbox>, MailError> {
    let list = match addresses {
        None => return Ok(Vec::new()),
        Some(Addresses::One(one)) => vec![one],
        Some(Addresses::Many(many)) => many,
    };
    if list.len() > MOST_RECIPIENTS {
        return Err(MailError::invalid(format!(
            "{field}: at most {MOST_RECIPIENTS} addresses, found {}",
            list.len()
        )));
    }
    list.iter().map(|text| read_mailbox(field, text)).collect()
}

fn file(file: File) -> Result<Attachment, MailError> {
    let content = STANDARD.decode(file.content.as_bytes());
    let content = content.map_err(|error| {
        MailError::invalid(format!("attachments: {} is not base64: {error}", file.name.escape_debug()))
    })?;
    Ok(Attachment {
        content_type: file.content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
        name: file.name,
        content_id: file.content_id,
        content,
    })
}
