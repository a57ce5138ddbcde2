//! Composes a caller's mail into a message (RFC 5322, MIME). Pure: clock and randomness are arguments.

use lettre::message::header::{
    ContentDisposition, ContentId, ContentTransferEncoding, ContentType, HeaderName, HeaderValue,
};
use lettre::message::{Mailbox, Message, MessageBuilder, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, message::Body};
use rowhouse_kernel::{Clock, Rng, new_id};

use crate::error::MailError;
use crate::message::{Attachment, NewMail, require_line, require_mailbox};

/// Recipients of one mail; RFC 5321 section 4.5.3.1.8 makes every server accept as many.
pub(crate) const MOST_RECIPIENTS: usize = 100;
const MOST_HEADERS: usize = 50;
const LONGEST_LINE: usize = 2000;
/// Longest header line in bytes, with the carriage return (RFC 5322 section 2.1.1).
const LONGEST_HEADER_LINE: usize = 999;
const MOST_FILES: usize = 100;
/// Longest name of a file, content id or media type, in bytes.
const LONGEST_NAME: usize = 500;
/// Headers that are composed from other fields, or that receivers and signers add.
const RESERVED: &[&str] = &[
    "arc-authentication-results",
    "arc-message-signature",
    "arc-seal",
    "authentication-results",
    "bcc",
    "cc",
    "date",
    "dkim-signature",
    "from",
    "message-id",
    "mime-version",
    "received",
    "received-spf",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
];

/// A message ready to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Composed {
    /// Without angle brackets.
    pub(crate) message_id: String,
    pub(crate) sender: Mailbox,
    /// Every address in From and Sender.
    pub(crate) authors: Vec<Address>,
    pub(crate) subject: String,
    pub(crate) recipients: Vec<Address>,
    pub(crate) mime: Vec<u8>,
}

/// Composes `mail` from `from`.
pub(crate) fn compose(
    mail: &NewMail,
    from: Mailbox,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<Composed, MailError> {
    check(mail, &from)?;
    let message_id = message_id(&from.email, clock, rng);
    let mut builder = Message::builder()
        .date(clock.now().into())
        .from(from.clone())
        .subject(mail.subject.clone())
        .message_id(Some(format!("<{message_id}>")));
    for (mailboxes, add) in
        [(&mail.to, MessageBuilder::to as fn(_, _) -> _), (&mail.cc, MessageBuilder::cc as fn(_, _) -> _)]
    {
        builder = mailboxes.iter().cloned().fold(builder, add);
    }
    if let Some(reply_to) = &mail.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    for (name, value) in &mail.headers {
        builder = builder.raw_header(header(name, value)?);
    }
    let recipients = recipients(mail);
    let envelope = lettre::address::Envelope::new(Some(from.email.clone()), recipients.clone());
    builder = builder.envelope(envelope.map_err(|error| MailError::invalid(error.to_string()))?);
    let message = match content(mail, rng)? {
        Content::One(part) => builder.singlepart(part),
        Content::Many(parts) => builder.multipart(parts),
    };
    let message = message.map_err(|error| MailError::invalid(error.to_string()))?;
    let mime = message.formatted();
    require_short_lines(&mime)?;
    Ok(Composed {
        message_id,
        authors: vec![from.email.clone()],
        sender: from,
        subject: mail.subject.clone(),
        recipients,
        mime,
    })
}

/// A new Message-ID in the sender's domain.
pub(crate) fn message_id(sender: &Address, clock: &dyn Clock, rng: &dyn Rng) -> String {
    let domain = sender.domain();
    let domain = if domain.is_ascii() { domain } else { "localhost" };
    format!("{}@{domain}", new_id(clock, rng).simple())
}

/// A relay need not accept longer lines (RFC 5321 section 4.5.3.1.6), and a header can be folded at spaces only.
fn require_short_lines(mime: &[u8]) -> Result<(), MailError> {
    let head = memchr::memmem::find(mime, b"\r\n\r\n").unwrap_or(mime.len());
    match mime[..head].split(|byte| *byte == b'\n').find(|line| line.len() > LONGEST_HEADER_LINE) {
        None => Ok(()),
        Some(line) => {
            let name = String::from_utf8_lossy(line.split(|byte| *byte == b':').next().unwrap_or_default());
            let name: String = name.chars().take(80).collect();
            Err(MailError::invalid(format!(
                "{}: a word is longer than a line may be (998 bytes)",
                name.trim()
            )))
        }
    }
}

/// Every recipient once, however often it is named.
fn recipients(mail: &NewMail) -> Vec<Address> {
    let mut seen = std::collections::BTreeSet::new();
    let all = mail.to.iter().chain(&mail.cc).chain(&mail.bcc).map(|mailbox| mailbox.email.clone());
    all.filter(|address| seen.insert(address.to_string().to_lowercase())).collect()
}

fn check(mail: &NewMail, from: &Mailbox) -> Result<(), MailError> {
    let lists = [("to", &mail.to), ("cc", &mail.cc), ("bcc", &mail.bcc)];
    let mailboxes = lists.iter().flat_map(|(field, list)| list.iter().map(move |mailbox| (*field, mailbox)));
    for (field, mailbox) in
        mailboxes.chain([("from", from)]).chain(mail.reply_to.iter().map(|m| ("reply_to", m)))
    {
        require_mailbox(field, mailbox)?;
    }
    let count: usize = lists.iter().map(|(_, list)| list.len()).sum();
    if !(1..=MOST_RECIPIENTS).contains(&count) {
        return Err(MailError::invalid(format!(
            "a mail has 1 to {MOST_RECIPIENTS} recipients, this one has {count}"
        )));
    }
    require_line("subject", &mail.subject)?;
    if mail.subject.len() > LONGEST_LINE {
        return Err(MailError::invalid(format!("subject: longer than {LONGEST_LINE} bytes")));
    }
    if [&mail.text, &mail.html].into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(MailError::invalid("a message contains no zero bytes"));
    }
    if mail.attachments.len() > MOST_FILES {
        return Err(MailError::invalid(format!("attachments: more than {MOST_FILES}")));
    }
    if mail.headers.len() > MOST_HEADERS {
        return Err(MailError::invalid(format!("headers: more than {MOST_HEADERS}")));
    }
    Ok(())
}

fn header(name: &str, value: &str) -> Result<HeaderValue, MailError> {
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("content-") {
        return Err(MailError::invalid(format!("headers: {name} is not set here")));
    }
    // A field's name is printable ASCII without colon (RFC 5322 section 2.2); only letters, digits and -_ are accepted.
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let parsed = is_name.then(|| HeaderName::new_from_ascii(name.to_owned()).ok()).flatten();
    let Some(parsed) = parsed else {
        return Err(MailError::invalid(format!("headers: \"{}\" is no header's name", name.escape_debug())));
    };
    require_line(name, value)?;
    if value.len() > LONGEST_LINE {
        return Err(MailError::invalid(format!("{name}: longer than {LONGEST_LINE} bytes")));
    }
    Ok(HeaderValue::new(parsed, value.to_owned()))
}

enum Content {
    One(SinglePart),
    Many(MultiPart),
}

/// The bodies, inside mixed(…, attachments) if there are files that the HTML does not show.
fn content(mail: &NewMail, rng: &dyn Rng) -> Result<Content, MailError> {
    // A content id is only referenced by HTML.
    let is_shown = |file: &&Attachment| file.content_id.is_some() && mail.html.is_some();
    let (shown, attached): (Vec<&Attachment>, Vec<&Attachment>) = mail.attachments.iter().partition(is_shown);
    let body = body(mail, &shown, rng)?;
    if attached.is_empty() {
        return Ok(body);
    }
    let mixed = add(multipart(MultiPartKind::Mixed, rng), body);
    attached
        .into_iter()
        .try_fold(mixed, |mixed, file| Ok(mixed.singlepart(attachment(file)?)))
        .map(Content::Many)
}

/// text | html | alternative(text, html), where html with its images is related(html, …) (RFC 2387).
fn body(mail: &NewMail, shown: &[&Attachment], rng: &dyn Rng) -> Result<Content, MailError> {
    let text = mail.text.as_ref().map(|text| Content::One(SinglePart::plain(with_line_feeds(text))));
    let Some(html) = &mail.html else {
        return text.ok_or_else(|| MailError::invalid("a mail has text, html or both"));
    };
    let mut html = Content::One(SinglePart::html(with_line_feeds(html)));
    if !shown.is_empty() {
        let related = add(multipart(MultiPartKind::Related, rng), html);
        let parts: Result<MultiPart, MailError> =
            shown.iter().try_fold(related, |related, file| Ok(related.singlepart(attachment(file)?)));
        html = Content::Many(parts?);
    }
    Ok(match text {
        Some(text) => Content::Many(add(add(multipart(MultiPartKind::Alternative, rng), text), html)),
        None => html,
    })
}

fn multipart(kind: MultiPartKind, rng: &dyn Rng) -> MultiPart {
    MultiPart::builder().kind(kind).boundary(boundary(rng)).build()
}

fn add(parts: MultiPart, content: Content) -> MultiPart {
    match content {
        Content::One(part) => parts.singlepart(part),
        Content::Many(inner) => parts.multipart(inner),
    }
}

/// The composer writes CR LF for every LF; some servers would take a bare CR for a line end.
fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn boundary(rng: &dyn Rng) -> String {
    let mut bytes = [0_u8; 16];
    rng.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn attachment(file: &Attachment) -> Result<SinglePart, MailError> {
    for text in [Some(&file.name), Some(&file.content_type), file.content_id.as_ref()].into_iter().flatten() {
        require_line("attachments", text)?;
        if text.len() > LONGEST_NAME {
            return Err(MailError::invalid(format!(
                "attachments: a name is longer than {LONGEST_NAME} bytes"
            )));
        }
    }
    let content_type = ContentType::parse(&file.content_type).map_err(|_| {
        MailError::invalid(format!("attachments: \"{}\" is no media type", file.content_type.escape_debug()))
    })?;
    let builder = SinglePart::builder().header(content_type);
    let builder = match &file.content_id {
        Some(id) => {
            if id.contains(['<', '>', ' ']) {
                return Err(MailError::invalid("attachments: a content_id has no spaces and brackets"));
            }
            builder
                .header(ContentId::from(format!("<{id}>")))
                .header(ContentDisposition::inline_with_name(&file.name))
        }
        None => builder.header(ContentDisposition::attachment(&file.name)),
    };
    // Unencoded, a file could contain an end of the message (a dot between bare line feeds) or be altered in transit.
    let body = Body::new_with_encoding(file.content.clone(), ContentTransferEncoding::Base64);
    Ok(builder.body(body.map_err(|_| MailError::invalid("attachments: a file cannot be encoded"))?))
}

#[cfg(test)]
mod tests;
