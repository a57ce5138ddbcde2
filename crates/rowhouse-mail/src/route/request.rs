//! The JSON of a mail to be sent. Pure.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_kernel::TenantId;
use serde::Deserialize;

use crate::error::MailError;
use crate::message::{Attachment, Mailbox, NewMail, read_mailbox};

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
    #[serde(default)]
    subject: String,
    text: Option<String>,
    html: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    attachments: Vec<File>,
    tag: Option<String>,
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

/// Reads a mail.
pub(super) fn read(body: &[u8]) -> Result<NewMail, MailError> {
    let body: Body = serde_json::from_slice(body).map_err(|error| MailError::invalid(error.to_string()))?;
    let one = |field, text: Option<String>| text.map(|text| read_mailbox(field, &text)).transpose();
    Ok(NewMail {
        from: one("from", body.from)?,
        to: many("to", body.to)?,
        cc: many("cc", body.cc)?,
        bcc: many("bcc", body.bcc)?,
        reply_to: one("reply_to", body.reply_to)?,
        subject: body.subject,
        text: body.text,
        html: body.html,
        headers: body.headers.into_iter().collect(),
        attachments: body.attachments.into_iter().map(file).collect::<Result<_, _>>()?,
        tag: body.tag,
        tenant: body.tenant,
        idempotency_key: body.idempotency_key,
        ..NewMail::default()
    })
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
