//! Tags of a captured mail, which Mailpit derives from the mail itself. Pure.

use mail_parser::MessageParser;

/// Most tags of one mail.
pub(crate) const MOST_TAGS: usize = 50;
const LONGEST_TAG: usize = 100;

/// The sender's tag, those of the header X-Tags, and what follows the plus in a recipient's address; each once.
pub(crate) fn tags(mime: &[u8], tag: Option<&str>, recipients: &[&str]) -> Vec<String> {
    let message = MessageParser::default().parse_headers(mime);
    let header = message.as_ref().and_then(|message| message.header_raw("X-Tags")).unwrap_or_default();
    let plus = recipients.iter().filter_map(|address| Some(address.rsplit_once('@')?.0.split_once('+')?.1));
    let mut all: Vec<String> = Vec::new();
    for tag in tag.into_iter().chain(header.split(',')).chain(plus).filter_map(read) {
        if all.len() < MOST_TAGS && !all.iter().any(|known| known.eq_ignore_ascii_case(&tag)) {
            all.push(tag);
        }
    }
    all
}

/// A normalized tag; `None` if it is empty or has other characters than tags may have.
pub(crate) fn read(text: impl AsRef<str>) -> Option<String> {
    let words: Vec<&str> = text.as_ref().split_whitespace().collect();
    let tag = words.join(" ");
    let fits = |c: char| c.is_alphanumeric() || "-_.@: ".contains(c);
    ((1..=LONGEST_TAG).contains(&tag.chars().count()) && tag.chars().all(fits)).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::tags;

    #[test]
    fn tags_come_from_the_sender_the_header_and_plus_addresses() {
        let mime = b"From: a@x.example\r\nx-tags: Big  one, order,, <b>\r\n\r\nx";
        let found =
            tags(mime, Some("order"), &["bob+welcome@y.example", "bob@y.example", "c+Order@y.example"]);
        assert_eq!(found, ["order", "Big one", "welcome"]);
        assert!(tags(b"From: a@x.example\r\n\r\nX-Tags: no", None, &[]).is_empty());
    }
}
