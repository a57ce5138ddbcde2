//! A message as Mailpit's JSON describes it. Pure.

use mail_parser::{Address, DateTime, Message, MessageParser, MessagePart, PartType};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::mailbox::Captured;
use super::{part, plain};

/// Characters of a message's snippet in lists.
const SNIPPET: usize = 250;

/// Name and address of each, groups flattened.
pub(crate) fn addresses(found: Option<&Address<'_>>) -> Vec<(String, String)> {
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    found.into_iter().flat_map(Address::iter).map(|one| (owned(one.name()), owned(one.address()))).collect()
}

/// The plain text; of a mail that has none, that of its HTML.
pub(crate) fn text(message: &Message<'_>) -> String {
    let text = bodies(message, |part| match &part.body {
        PartType::Text(text) => Some(text),
        _ => None,
    });
    if text.trim().is_empty() { plain::of_html(&html(message)) } else { text }
}

/// The HTML, where there is some.
pub(crate) fn html(message: &Message<'_>) -> String {
    bodies(message, |part| match &part.body {
        PartType::Html(html) => Some(html),
        _ => None,
    })
}

fn bodies<'m>(
    message: &'m Message<'m>,
    take: fn(&'m MessagePart<'m>) -> Option<&'m std::borrow::Cow<'m, str>>,
) -> String {
    let mut seen: Vec<u32> = message.text_body.iter().chain(&message.html_body).copied().collect();
    seen.sort_unstable();
    seen.dedup();
    seen.iter().filter_map(|id| message.part(*id)).filter_map(take).map(|body| &**body).collect()
}

/// An entry of a list.
pub(crate) fn summary(captured: &Captured) -> Value {
    let Some(message) = MessageParser::default().parse(&captured.mime) else { return Value::Null };
    let mut document = common(captured, &message);
    let text = text(&message);
    let snippet: Vec<&str> = text.split_whitespace().take(SNIPPET).collect();
    let snippet: String = snippet.join(" ").chars().take(SNIPPET).collect();
    document.insert("Read".into(), captured.is_read.into());
    document.insert("Created".into(), timestamp(captured.created_at).into());
    document.insert("Attachments".into(), part::files(&message).attached.len().into());
    document.insert("Snippet".into(), snippet.into());
    Value::Object(document)
}

/// The whole message.
pub(crate) fn whole(captured: &Captured) -> Value {
    let Some(message) = MessageParser::default().parse(&captured.mime) else { return Value::Null };
    let mut document = common(captured, &message);
    let files = part::files(&message);
    let shown = |ids: &[u32]| ids.iter().filter_map(|id| part::file(&message, *id)).collect::<Vec<_>>();
    let date = message.date().and_then(sent_at).unwrap_or(captured.created_at);
    document.insert("ReturnPath".into(), captured.envelope_from.clone().into());
    document.insert("Date".into(), timestamp(date).into());
    document.insert("Text".into(), text(&message).into());
    document.insert("HTML".into(), html(&message).into());
    document.insert("Inline".into(), shown(&files.inline).into());
    document.insert("Attachments".into(), shown(&files.attached).into());
    document.insert("ListUnsubscribe".into(), unsubscribe(&message));
    Value::Object(document)
}

fn common(captured: &Captured, message: &Message<'_>) -> Map<String, Value> {
    let people = |found| addresses(found).into_iter().map(person).collect::<Vec<_>>();
    let from = addresses(message.from()).into_iter().next().map_or(Value::Null, person);
    let document = json!({
        "ID": captured.id.to_string(),
        "MessageID": message.message_id().unwrap_or_default(),
        "From": from,
        "To": people(message.to()),
        "Cc": people(message.cc()),
        "Bcc": hidden(captured, message).into_iter().map(|address| person((String::new(), address))).collect::<Vec<_>>(),
        "ReplyTo": people(message.reply_to()),
        "Subject": message.subject().unwrap_or_default(),
        "Tags": captured.tags,
        "Username": "",
        "Size": captured.mime.len(),
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

/// Recipients that no header names.
fn hidden(captured: &Captured, message: &Message<'_>) -> Vec<String> {
    let named: Vec<String> = [message.to(), message.cc()]
        .into_iter()
        .flat_map(addresses)
        .map(|(_, address)| address.to_lowercase())
        .collect();
    captured.recipients.iter().filter(|address| !named.contains(&address.to_lowercase())).cloned().collect()
}

fn person((name, address): (String, String)) -> Value {
    json!({ "Name": name, "Address": address })
}

/// Every header, named as it was sent, with all its values, unfolded.
pub(crate) fn headers(captured: &Captured) -> Value {
    let mut all: Map<String, Value> = Map::new();
    let message = MessageParser::default().parse_headers(&captured.mime);
    for header in message.iter().flat_map(Message::headers) {
        let piece = |from, to| String::from_utf8_lossy(captured.mime.get(from..to).unwrap_or_default());
        let name = piece(header.offset_field as usize, header.offset_start as usize);
        let value = piece(header.offset_start as usize, header.offset_end as usize);
        let value: Vec<&str> = value.lines().map(str::trim).collect();
        let name = name.trim_end_matches([':', ' ', '\t']).to_owned();
        if let Value::Array(values) = all.entry(name).or_insert_with(|| json!([])) {
            values.push(value.join(" ").trim().into());
        }
    }
    Value::Object(all)
}

fn unsubscribe(message: &Message<'_>) -> Value {
    let header = message.header_raw("List-Unsubscribe").unwrap_or_default();
    let header: Vec<&str> = header.split_whitespace().collect();
    let header = header.join(" ");
    let links: Vec<&str> =
        header.split(',').filter_map(|link| link.trim().strip_prefix('<')?.strip_suffix('>')).collect();
    let post = message.header_raw("List-Unsubscribe-Post").unwrap_or_default().trim();
    json!({ "Header": header, "Links": links, "Errors": "", "HeaderPost": post })
}

fn sent_at(date: &DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(date.to_timestamp()).ok()
}

fn timestamp(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
