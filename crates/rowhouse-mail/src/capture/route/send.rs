//! `POST /api/v1/send`: a mail as Mailpit's JSON describes it, put into the mailbox.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use rowhouse_kernel::{ANON, Actor, Origin};
use serde::Deserialize;
use serde_json::json;

use super::{Capture, CaptureError, CaptureResult, caller};
use crate::error::MailError;
use crate::intake::Draft;
use crate::message::{Attachment, Mailbox, NewMail, read_mailbox};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Person {
    #[serde(default)]
    name: String,
    email: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    content: String,
    #[serde(rename = "ContentID")]
    content_id: Option<String>,
    content_type: Option<String>,
    filename: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Sent {
    from: Person,
    #[serde(default)]
    to: Vec<Person>,
    #[serde(default)]
    cc: Vec<Person>,
    #[serde(default)]
    bcc: Vec<String>,
    #[serde(default)]
    reply_to: Vec<Person>,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    text: String,
    #[serde(rename = "HTML", default)]
    html: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    attachments: Vec<File>,
}

/// Requires the content type JSON, which another site's form cannot send.
pub(super) async fn send(State(capture): State<Capture>, headers: HeaderMap, body: Bytes) -> CaptureResult {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !media_type.is_some_and(|value| value.starts_with("application/json")) {
        return Err(caller("expected application/json"));
    }
    let sent: Sent =
        serde_json::from_slice(&body).map_err(|error| CaptureError::Caller(error.to_string()))?;
    let somebody = Origin { actor: Actor::Role(ANON.into()), ..Origin::system(&capture.clock) };
    let accepted = capture.intake.accept(Draft::New(Box::new(mail(sent)?)), somebody).await?;
    Ok(axum::Json(json!({ "ID": accepted.id.to_string() })).into_response())
}

fn mail(sent: Sent) -> Result<NewMail, MailError> {
    let people = |field, list: &[Person]| list.iter().map(|one| person(field, one)).collect::<Result<_, _>>();
    let mut headers: Vec<(String, String)> = sent.headers.into_iter().collect();
    if !sent.tags.is_empty() {
        headers.push(("X-Tags".to_owned(), sent.tags.join(", ")));
    }
    let some = |text: String| (!text.is_empty()).then_some(text);
    let html = some(sent.html);
    Ok(NewMail {
        from: Some(person("From", &sent.from)?),
        to: people("To", &sent.to)?,
        cc: people("Cc", &sent.cc)?,
        bcc: sent.bcc.iter().map(|address| read_mailbox("Bcc", address)).collect::<Result<_, _>>()?,
        reply_to: sent.reply_to.first().map(|one| person("ReplyTo", one)).transpose()?,
        subject: sent.subject,
        text: if html.is_some() { some(sent.text) } else { Some(sent.text) },
        html,
        headers,
        attachments: sent.attachments.into_iter().map(file).collect::<Result<_, _>>()?,
        ..NewMail::default()
    })
}

fn person(field: &str, person: &Person) -> Result<Mailbox, MailError> {
    let mailbox = read_mailbox(field, &person.email)?;
    Ok(Mailbox::new((!person.name.is_empty()).then(|| person.name.clone()), mailbox.email))
}

fn file(file: File) -> Result<Attachment, MailError> {
    let content = STANDARD.decode(&file.content);
    Ok(Attachment {
        content_type: file.content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
        content_id: file.content_id.filter(|id| !id.is_empty()),
        content: content.map_err(|_| MailError::invalid("Attachments: a content is not base64"))?,
        name: file.filename,
    })
}
