//! Mailpit's search language: words, "phrases", `field:value`, and `-` or `!` for negation. Pure.

mod value;

use mail_parser::MessageParser;
use time::OffsetDateTime;

use super::document::{addresses, html, text};
use super::mailbox::Captured;
use super::part;

/// Terms of one query.
const MOST_TERMS: usize = 20;

/// All terms must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    test: Test,
    is_negated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// The field contains the word, which is in lower case.
    Has(Field, String),
    Read(bool),
    Tagged,
    Attachment,
    Inline,
    Before(OffsetDateTime),
    After(OffsetDateTime),
    /// In bytes.
    Larger(u64),
    Smaller(u64),
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
];

impl Query {
    /// Parses a query; `None` if it has no terms.
    ///
    /// # Errors
    /// The term that is not supported.
    pub(crate) fn read(text: &str) -> Result<Option<Self>, String> {
        let all = words(text);
        if all.len() > MOST_TERMS {
            return Err(format!("a search has at most {MOST_TERMS} terms"));
        }
        let terms: Vec<Option<Term>> = all.iter().map(|word| term(word)).collect::<Result<_, _>>()?;
        let terms: Vec<Term> = terms.into_iter().flatten().collect();
        Ok((!terms.is_empty()).then_some(Self(terms)))
    }

    pub(crate) fn matches(&self, message: &Captured) -> bool {
        let facts = Facts::of(message);
        self.0.iter().all(|term| facts.hold(&term.test) != term.is_negated)
    }
}

fn term(word: &str) -> Result<Option<Term>, String> {
    let (is_negated, rest) = match word.strip_prefix(['-', '!']) {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let lower = rest.replace('"', "").to_lowercase();
    Ok(test(&lower)?.map(|test| Term { test, is_negated }))
}

fn test(lower: &str) -> Result<Option<Test>, String> {
    if let Some((field, word)) =
        FIELDS.iter().find_map(|(name, field)| Some((*field, lower.strip_prefix(name)?)))
    {
        return Ok((!word.is_empty()).then(|| Test::Has(field, word.to_owned())));
    }
    let Some((name, word)) = lower.split_once(':') else {
        return Ok((!lower.is_empty()).then(|| Test::Has(Field::Any, lower.to_owned())));
    };
    Ok(Some(match (name, word) {
        ("is", "read") => Test::Read(true),
        ("is", "unread") => Test::Read(false),
        ("is", "tagged") => Test::Tagged,
        ("has", "attachment" | "attachments") => Test::Attachment,
        ("has", "inline") => Test::Inline,
        ("is" | "has", _) => {
            return Err(format!(
                "{lower}: expected is:read, is:unread, is:tagged, has:attachment or has:inline"
            ));
        }
        ("before", _) => Test::Before(value::date(word)?),
        ("after", _) => Test::After(value::date(word)?),
        ("larger", _) => Test::Larger(value::bytes(word)?),
        ("smaller", _) => Test::Smaller(value::bytes(word)?),
        _ => Test::Has(Field::Any, lower.to_owned()),
    }))
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
    words.retain(|word| !word.is_empty());
    words
}

/// A message's searchable fields, in lower case.
struct Facts {
    from: String,
    to: String,
    cc: String,
    bcc: String,
    reply_to: String,
    subject: String,
    message_id: String,
    tags: Vec<String>,
    content: String,
    attachments: usize,
    inline: usize,
    is_read: bool,
    created_at: OffsetDateTime,
    size: u64,
}

impl Facts {
    fn of(captured: &Captured) -> Self {
        // A message that cannot be parsed has no headers.
        let message = MessageParser::default().parse(&captured.mime).unwrap_or_default();
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
        let files = part::files(&message);
        let content = [text(&message), html(&message), part::names(&message)].join(" ");
        Self {
            from: list(message.from()),
            bcc: bcc.join(" "),
            reply_to: list(message.reply_to()),
            subject: message.subject().unwrap_or_default().to_lowercase(),
            message_id: message.message_id().unwrap_or_default().to_lowercase(),
            tags: captured.tags.iter().map(|tag| tag.to_lowercase()).collect(),
            content: content.to_lowercase(),
            attachments: files.attached.len(),
            inline: files.inline.len(),
            is_read: captured.is_read,
            created_at: captured.created_at,
            size: captured.mime.len() as u64,
            to,
            cc,
        }
    }

    fn hold(&self, test: &Test) -> bool {
        match test {
            Test::Has(field, word) => self.has(*field, word),
            Test::Read(is_read) => self.is_read == *is_read,
            Test::Tagged => !self.tags.is_empty(),
            Test::Attachment => self.attachments > 0,
            Test::Inline => self.inline > 0,
            Test::Before(at) => self.created_at < *at,
            Test::After(at) => self.created_at > *at,
            Test::Larger(bytes) => self.size > *bytes,
            Test::Smaller(bytes) => self.size < *bytes,
        }
    }

    fn has(&self, field: Field, word: &str) -> bool {
        let people = [&self.from, &self.to, &self.cc, &self.bcc, &self.reply_to];
        let any = |texts: &[&String]| texts.iter().any(|text| text.contains(word));
        match field {
            Field::From => self.from.contains(word),
            Field::To => self.to.contains(word),
            Field::Cc => self.cc.contains(word),
            Field::Bcc => self.bcc.contains(word),
            Field::Addressed => any(&people),
            Field::ReplyTo => self.reply_to.contains(word),
            Field::Subject => self.subject.contains(word),
            Field::MessageId => self.message_id.contains(word),
            Field::Tag => self.tags.iter().any(|tag| tag == word),
            Field::Any => any(&people) || any(&[&self.subject, &self.content]),
        }
    }
}

#[cfg(test)]
mod tests;
