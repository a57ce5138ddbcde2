//! Prepares a submitted message (RFC 6409 section 8): line ends, missing headers added, headers that must not be sent
//! removed. Everything else is left byte for byte.

mod mailbox;

use lettre::Address;
use lettre::message::Mailbox;
use mail_parser::{Message, MessageParser};
use rowhouse_kernel::{Clock, Rng};
use time::format_description::well_known::Rfc2822;

use crate::compose::{Composed, MOST_RECIPIENTS, message_id};
use crate::error::MailError;
use crate::message::{RawMail, require_address};

/// Largest header section, in bytes.
const MOST_HEADER_BYTES: usize = 256 * 1024;
/// Headers that may occur once (RFC 5322 section 3.6): with two, the signature and the reader may pick different ones.
const ONCE: &[&str] = &["from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id"];
/// Headers that are removed. What a receiver found out about a mail is no sender's to say (RFC 8601 section 5).
const DROPPED: &[&str] = &["bcc", "resent-bcc", "return-path", "authentication-results", "received-spf"];
/// Headers that are removed from a tenant's mail: who signs it is decided by the platform. Several of the first would make
/// receivers try each.
const SIGNATURES: &[&str] =
    &["dkim-signature", "arc-authentication-results", "arc-message-signature", "arc-seal"];
/// Longest subject or sender stored for lists, in characters.
const LONGEST_SHOWN: usize = 1000;

/// Reads and completes `mail`.
pub(crate) fn prepare(mail: &RawMail, clock: &dyn Clock, rng: &dyn Rng) -> Result<Composed, MailError> {
    if !(1..=MOST_RECIPIENTS).contains(&mail.to.len()) {
        let count = mail.to.len();
        return Err(MailError::invalid(format!(
            "a mail has 1 to {MOST_RECIPIENTS} recipients, this one has {count}"
        )));
    }
    mail.to.iter().chain(&mail.from).try_for_each(|address| require_address("envelope", address))?;
    if mail.mime.contains(&0) {
        return Err(MailError::invalid("a message contains no zero bytes"));
    }
    let lines = with_line_ends(&mail.mime);
    let (head, body) = split(&lines)?;
    require_once(head)?;
    let parsed = MessageParser::default().parse_headers(head.as_bytes());
    let parsed = parsed.ok_or_else(|| MailError::invalid("the message has no headers"))?;
    let (sender, authors) = senders(&parsed)?;
    let given = parsed.message_id().filter(|id| !id.is_empty()).map(str::to_owned);
    let id = given.clone().unwrap_or_else(|| message_id(&sender.email, clock, rng));
    let mut mime = Vec::with_capacity(lines.len() + 200);
    if given.is_none() {
        mime.extend_from_slice(format!("Message-ID: <{id}>\r\n").as_bytes());
    }
    let has_date = parsed.date().is_some_and(mail_parser::DateTime::is_valid);
    if !has_date {
        let date = clock.now().format(&Rfc2822).map_err(|error| MailError::Unusable(error.to_string()))?;
        mime.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    }
    // An added header replaces one that could not be parsed.
    let replaced = [(given.is_none(), "message-id"), (!has_date, "date")];
    let replaced = replaced.iter().filter(|(is_new, _)| *is_new).map(|(_, name)| *name);
    let signatures = if mail.tenant.is_some() { SIGNATURES } else { &[] };
    let drops: Vec<&str> = DROPPED.iter().chain(signatures).copied().chain(replaced).collect();
    keep_headers(head, &drops, &mut mime);
    mime.extend_from_slice(body);
    Ok(Composed {
        message_id: id,
        sender,
        authors,
        subject: shown(parsed.subject().unwrap_or_default()),
        recipients: distinct(&mail.to),
        mime,
    })
}

/// Refuses what is not one plain mailbox in From or Sender.
pub(crate) fn require_plain_senders(mail: &Composed) -> Result<(), MailError> {
    mailbox::require_one_each(split(&mail.mime)?.0)
}

/// Every line ends in CR LF (RFC 5322 section 2.1); a bare CR or LF is completed.
fn with_line_ends(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 40);
    let mut previous = 0;
    for &byte in bytes {
        if previous == b'\r' && byte != b'\n' {
            out.push(b'\n');
        }
        if byte == b'\n' && previous != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        previous = byte;
    }
    if previous == b'\r' {
        out.push(b'\n');
    }
    out
}

/// Splits the header section, with its last line end, from the empty line and the body.
fn split(message: &[u8]) -> Result<(&str, &[u8]), MailError> {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    if end > MOST_HEADER_BYTES {
        return Err(MailError::invalid(format!("the headers have more than {MOST_HEADER_BYTES} bytes")));
    }
    let (head, body) = message.split_at(end);
    let head = std::str::from_utf8(head)
        .map_err(|_| MailError::invalid("the headers are neither ASCII nor UTF-8"))?;
    let first = head.lines().next().unwrap_or_default();
    let is_header = first.split_once(':').is_some_and(|(name, _)| {
        !name.is_empty() && name.trim_end().bytes().all(|byte| byte.is_ascii_graphic())
    });
    if !is_header {
        return Err(MailError::invalid("the message does not begin with a header"));
    }
    Ok((head, if body.is_empty() { b"\r\n" } else { body }))
}

/// The name of the header that a line begins, if it begins one.
fn name_of(line: &str) -> Option<&str> {
    (!line.starts_with([' ', '\t'])).then(|| line.split(':').next().unwrap_or_default().trim())
}

fn require_once(head: &str) -> Result<(), MailError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in head.split("\r\n").filter_map(name_of) {
        let once = ONCE.iter().find(|once| name.eq_ignore_ascii_case(once));
        if once.is_some_and(|once| !seen.insert(once)) {
            return Err(MailError::invalid(format!("the message has more than one {name}")));
        }
    }
    Ok(())
}

/// Copies all headers but `drops`, with their continuation lines.
fn keep_headers(head: &str, drops: &[&str], out: &mut Vec<u8>) {
    let mut keeps = true;
    for line in head.split_inclusive("\r\n") {
        if let Some(name) = name_of(line) {
            keeps = !drops.iter().any(|drop| name.eq_ignore_ascii_case(drop));
        }
        if keeps {
            out.extend_from_slice(line.as_bytes());
        }
    }
}

/// The first mailbox of From, and every address of From and Sender, all of which have to be valid (RFC 5322 section 3.6.2).
fn senders(message: &Message<'_>) -> Result<(Mailbox, Vec<Address>), MailError> {
    let wrong = || MailError::invalid("the message has no From with an address");
    let read = |one: &mail_parser::Addr<'_>| -> Option<Mailbox> {
        Some(Mailbox::new(one.name().map(shown), one.address()?.parse().ok()?))
    };
    let from = message.from().ok_or_else(wrong)?;
    let from = from.iter().map(read).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let first = from.first().cloned().ok_or_else(wrong)?;
    let sender = message.sender().into_iter().flat_map(mail_parser::Address::iter).map(read);
    let sender = sender.collect::<Option<Vec<_>>>();
    let sender = sender.ok_or_else(|| MailError::invalid("the message has a Sender that is no address"))?;
    let authors = from.into_iter().chain(sender).map(|mailbox| mailbox.email).collect();
    Ok((first, authors))
}

fn distinct(addresses: &[Address]) -> Vec<Address> {
    let mut seen = std::collections::BTreeSet::new();
    addresses.iter().filter(|address| seen.insert(address.to_string().to_lowercase())).cloned().collect()
}

fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_SHOWN).collect()
}

#[cfg(test)]
mod tests;
