//! A mail as a caller describes it, and parsing of addresses. Leaves composing to `compose`.

pub use lettre::Address;
pub use lettre::message::Mailbox;
use rowhouse_kernel::TenantId;

use crate::error::MailError;

/// Longest address that SMTP knows (RFC 5321 section 4.5.3.1).
const LONGEST_ADDRESS: usize = 320;
/// Longest display name, in bytes.
const LONGEST_NAME: usize = 500;

/// A mail to be composed here.
#[derive(Debug, Clone, Default)]
pub struct NewMail {
    /// Sender; `mail.from` where missing.
    pub from: Option<Mailbox>,
    /// Recipients in To.
    pub to: Vec<Mailbox>,
    /// Recipients in Cc.
    pub cc: Vec<Mailbox>,
    /// Recipients in no header.
    pub bcc: Vec<Mailbox>,
    /// Reply-To, if not the sender.
    pub reply_to: Option<Mailbox>,
    /// Subject, one line.
    pub subject: String,
    /// The text; this or `html`, or both as alternatives.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
    /// Further headers; not those composed from other fields.
    pub headers: Vec<(String, String)>,
    /// Files.
    pub attachments: Vec<Attachment>,
    /// The template's name, or `raw`; empty is `raw`.
    pub kind: String,
    /// A label for searching.
    pub tag: Option<String>,
    /// The list that its recipient can leave by one-click unsubscribe.
    pub list: Option<String>,
    /// The tenant that it belongs to.
    pub tenant: Option<TenantId>,
    /// The id of the request that sent it.
    pub request_id: Option<String>,
    /// A second mail with the same key is not stored.
    pub idempotency_key: Option<String>,
    /// A person is waiting for it: it is delivered before others.
    pub is_urgent: bool,
}

/// A file in a mail.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// File name.
    pub name: String,
    /// Media type, as `application/pdf`.
    pub content_type: String,
    /// The id by which HTML refers to it (`cid:…`); such a file is shown inline.
    pub content_id: Option<String>,
    /// The bytes.
    pub content: Vec<u8>,
}

/// A message composed by the client, as received by SMTP submission.
#[derive(Debug, Clone, Default)]
pub struct RawMail {
    /// Envelope sender; `None` is `<>`.
    pub from: Option<Address>,
    /// Envelope recipients; the headers To and Cc are not read.
    pub to: Vec<Address>,
    /// The message (RFC 5322). Missing `Message-ID` and `Date` are added; `Bcc`, `Return-Path` and results of
    /// authentication are removed, and a tenant's signatures.
    pub mime: Vec<u8>,
    /// A label for searching.
    pub tag: Option<String>,
    /// The tenant that it belongs to.
    pub tenant: Option<TenantId>,
    /// The id of the request or session that submitted it.
    pub request_id: Option<String>,
    /// The SMTP credential that submitted it; with a tenant's, senders have to be proved.
    pub credential: Option<String>,
    /// A second mail with the same key is not stored.
    pub idempotency_key: Option<String>,
}

/// The address with its domain in ASCII (`xn--…`, RFC 5891): the form in which it is sent, stored and compared. `None` if
/// the domain has none.
pub(crate) fn ascii_address(address: &Address) -> Option<Address> {
    if address.domain().is_ascii() {
        return Some(address.clone());
    }
    let domain = idna::domain_to_ascii(address.domain()).ok()?;
    Address::new(address.user(), domain).ok()
}

/// Reads `address` or `Name <address>`; the domain becomes ASCII.
///
/// # Errors
/// [`MailError::Invalid`], naming `field`.
pub fn read_mailbox(field: &str, text: &str) -> Result<Mailbox, MailError> {
    require_line(field, text)?;
    let wrong = || MailError::invalid(format!("{field}: \"{}\" is no mail address", shorten(text)));
    let mailbox = match text.trim().strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => {
            let name = unquote(name.trim());
            Mailbox::new((!name.is_empty()).then_some(name), address.trim().parse().map_err(|_| wrong())?)
        }
        None => Mailbox::new(None, text.trim().parse().map_err(|_| wrong())?),
    };
    require_mailbox(field, &mailbox)?;
    Ok(Mailbox { email: ascii_address(&mailbox.email).ok_or_else(wrong)?, ..mailbox })
}

/// Quotation marks around a name belong to the syntax, and a backslash protects what follows it (RFC 5322 3.2.4).
fn unquote(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) else {
        return name.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

/// Refuses a mailbox that would be malformed in a header or an SMTP command.
pub(crate) fn require_mailbox(field: &str, mailbox: &Mailbox) -> Result<(), MailError> {
    let name = mailbox.name.as_deref().unwrap_or_default();
    require_line(field, name)?;
    if name.len() > LONGEST_NAME {
        return Err(MailError::invalid(format!("{field}: the name is longer than {LONGEST_NAME} bytes")));
    }
    require_address(field, &mailbox.email)
}

/// The parser lets quoted local parts carry almost anything; what could end a line or a path is refused.
pub(crate) fn require_address(field: &str, address: &Address) -> Result<(), MailError> {
    let text: &str = address.as_ref();
    require_line(field, text)?;
    if text.len() > LONGEST_ADDRESS || text.contains(['<', '>', ' ']) {
        return Err(MailError::invalid(format!("{field}: \"{}\" is no mail address", shorten(text))));
    }
    Ok(())
}

/// Refuses control characters: a line break would begin another header.
pub(crate) fn require_line(field: &str, text: &str) -> Result<(), MailError> {
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(MailError::invalid(format!("{field}: line breaks and control characters are refused")));
    }
    Ok(())
}

/// The beginning of a string, for error messages.
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
