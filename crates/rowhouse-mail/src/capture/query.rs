//! Mailpit's search language: words, "phrases", `field:value`, and `-` or `!` before what must not be there. Pure.

use mail_parser::MessageParser;

use super::document::{addresses, html, text};
use super::mailbox::Captured;

/// Terms of one query.
const MOST_TERMS: usize = 20;

/// All terms must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: Field,
    /// In lower case.
    word: String,
    is_negated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Any,
    From,
    To,
    Cc,
    Bcc,
    Addressed,
    ReplyTo,
    Subject,
    MessageId,
    Tag,
    Is,
    Has,
}

const FIELDS: &[(&str, Field)] = &[
    ("from:", Field::From),
    ("to:", Field::To),
    ("cc:", Field::Cc),
    ("bcc:", Field::Bcc),
    ("addressed:", Field::Addressed),
    ("reply-to:", Field::ReplyTo),
    ("subject:", Field::Subject),
    ("message-id:", Field::MessageId),
    ("tag:", Field::Tag),
    ("is:", Field::Is),
    ("has:", Field::Has),
];

impl Query {
    /// Reads a query; `None` if it asks for nothing.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let terms: Vec<Term> = words(text).iter().take(MOST_TERMS).filter_map(|word| term(word)).collect();
        (!terms.is_empty()).then_some(Self(terms))
    }

    pub(crate) fn matches(&self, message: &Captured) -> bool {
        let facts = Facts::of(message);
        self.0.iter().all(|term| facts.hold(term) != term.is_negated)
    }
}

fn term(word: &str) -> Option<Term> {
    let (is_negated, rest) = match word.strip_prefix(['-', '!']) {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let lower = rest.replace('"', "").to_lowercase();
    let found = FIELDS.iter().find_map(|(name, field)| Some((*field, lower.strip_prefix(name)?)));
    let (field, word) = found.unwrap_or((Field::Any, lower.as_str()));
    (!word.is_empty()).then(|| Term { field, word: word.to_owned(), is_negated })
}

/// Split at spaces that are not within quotation marks.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        quoted ^= c == '"';
        if c.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words
}

/// A message in lower case.
#[derive(Default)]
struct Facts {
    from: String,
    to: String,
    cc: String,
    bcc: String,
    reply_to: String,
    subject: String,
    message_id: String,
    tag: String,
    content: String,
    has_attachment: bool,
    is_read: bool,
}

impl Facts {
    fn of(captured: &Captured) -> Self {
        let tag = captured.tag.as_deref().unwrap_or_default().to_lowercase();
        let all = captured.recipients.join(" ").to_lowercase();
        let Some(message) = MessageParser::default().parse(&captured.mime) else {
            return Self { tag, bcc: all, is_read: captured.is_read, ..Self::default() };
        };
        let list = |found| {
            addresses(found)
                .iter()
                .map(|(name, address)| format!("{name} {address} "))
                .collect::<String>()
                .to_lowercase()
        };
        let (to, cc) = (list(message.to()), list(message.cc()));
        let hidden = captured.recipients.iter().map(|address| address.to_lowercase());
        let bcc: Vec<String> =
            hidden.filter(|address| !to.contains(address) && !cc.contains(address)).collect();
        Self {
            from: list(message.from()),
            bcc: bcc.join(" "),
            reply_to: list(message.reply_to()),
            subject: message.subject().unwrap_or_default().to_lowercase(),
            message_id: message.message_id().unwrap_or_default().to_lowercase(),
            content: format!("{} {}", text(&message), html(&message)).to_lowercase(),
            has_attachment: message.attachment_count() > 0,
            is_read: captured.is_read,
            to,
            cc,
            tag,
        }
    }

    fn hold(&self, term: &Term) -> bool {
        let word = term.word.as_str();
        let any = |texts: &[&String]| texts.iter().any(|text| text.contains(word));
        match term.field {
            Field::From => self.from.contains(word),
            Field::To => self.to.contains(word),
            Field::Cc => self.cc.contains(word),
            Field::Bcc => self.bcc.contains(word),
            Field::Addressed => any(&[&self.from, &self.to, &self.cc, &self.bcc, &self.reply_to]),
            Field::ReplyTo => self.reply_to.contains(word),
            Field::Subject => self.subject.contains(word),
            Field::MessageId => self.message_id.contains(word),
            Field::Tag => self.tag == word,
            Field::Is => match word {
                "read" => self.is_read,
                "unread" => !self.is_read,
                "tagged" => !self.tag.is_empty(),
                _ => false,
            },
            Field::Has => self.has_attachment && matches!(word, "attachment" | "attachments"),
            Field::Any => any(&[
                &self.from,
                &self.to,
                &self.cc,
                &self.bcc,
                &self.reply_to,
                &self.subject,
                &self.content,
            ]),
        }
    }
}

#[cfg(test)]
mod tests;
