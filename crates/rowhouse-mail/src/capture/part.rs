//! Files of a captured message: those shown within its HTML, and those attached. Pure.

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rowhouse_crypto::digest_bytes_hex;
use serde_json::{Value, json};

use super::mailbox::Captured;

/// Part numbers of a message's files.
pub(crate) struct Files {
    pub(crate) inline: Vec<u32>,
    pub(crate) attached: Vec<u32>,
}

/// Sorted by whether HTML may name them.
pub(crate) fn files(message: &Message<'_>) -> Files {
    let is_inline = |id: &&u32| message.part(**id).is_some_and(is_inline);
    let (inline, attached) = message.attachments.iter().partition(is_inline);
    Files { inline, attached }
}

fn is_inline(part: &MessagePart<'_>) -> bool {
    let disposition = part.content_disposition();
    part.content_id().is_some() && disposition.is_none_or(mail_parser::ContentType::is_inline)
}

/// The names of all files.
pub(crate) fn names(message: &Message<'_>) -> String {
    let name = |id: &u32| message.part(*id)?.attachment_name().map(str::to_owned);
    message.attachments.iter().filter_map(name).collect::<Vec<_>>().join(" ")
}

/// A file as Mailpit describes it.
pub(crate) fn file(message: &Message<'_>, id: u32) -> Option<Value> {
    let part = message.part(id)?;
    Some(json!({
        "PartID": id.to_string(),
        "FileName": part.attachment_name().unwrap_or_default(),
        "ContentType": media_type(part),
        "ContentID": part.content_id().unwrap_or_default(),
        "Size": part.len(),
        "Checksums": { "SHA256": digest_bytes_hex(part.contents()) },
    }))
}

fn media_type(part: &MessagePart<'_>) -> String {
    part.content_type().map_or_else(
        || "application/octet-stream".to_owned(),
        |media| format!("{}/{}", media.ctype(), media.subtype().unwrap_or("octet-stream")),
    )
}

/// A part to be sent.
pub(crate) struct Content {
    pub(crate) media_type: String,
    /// Content-Disposition (RFC 6266).
    pub(crate) disposition: String,
    pub(crate) bytes: Vec<u8>,
}

/// A part by its number.
pub(crate) fn content(captured: &Captured, id: u32) -> Option<Content> {
    let message = MessageParser::default().parse(&captured.mime)?;
    let part = message.part(id).filter(|part| !part.is_multipart())?;
    let kind = if message.attachments.contains(&id) && !is_inline(part) { "attachment" } else { "inline" };
    let name = part.attachment_name().filter(|name| !name.is_empty());
    let name = name.map(|name| format!("; filename*=UTF-8''{}", utf8_percent_encode(name, NON_ALPHANUMERIC)));
    let disposition = format!("{kind}{}", name.unwrap_or_default());
    Some(Content { media_type: media_type(part), disposition, bytes: part.contents().to_vec() })
}

/// The HTML with addresses of the parts in place of `cid:` names, so that a browser shows inline images.
pub(crate) fn with_parts(html: &str, captured: &Captured) -> String {
    let Some(message) = MessageParser::default().parse(&captured.mime) else { return html.to_owned() };
    let part_of = |name: &str| {
        let is_it = |id: &&u32| message.part(**id).and_then(|part| part.content_id()) == Some(name);
        message.attachments.iter().find(is_it)
    };
    let (mut out, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(at) = rest.find("cid:") {
        let (before, named) = rest.split_at(at);
        let end = named.find(['"', '\'', ')', '>', ' ', '\n', '\r']).unwrap_or(named.len());
        let name = percent_decode_str(&named["cid:".len()..end]).decode_utf8_lossy();
        out.push_str(before);
        match part_of(&name) {
            Some(part) => out.push_str(&format!("/api/v1/message/{}/part/{part}", captured.id)),
            None => out.push_str(&named[..end]),
        }
        rest = &named[end..];
    }
    out.push_str(rest);
    out
}
