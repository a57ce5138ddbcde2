//! What a sending domain has to publish so that its mails are believed, and whether it does. Judging is pure; [`look_up`]
//! asks the machine's resolver.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use rowhouse_kernel::settings::MailSettings;
use serde::Serialize;

use crate::dkim::Signer;
use crate::error::MailError;
use crate::message::read_mailbox;

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The key that signatures are checked with.
    Dkim,
    /// Who may send for the domain of the envelope sender.
    Spf,
    /// What receivers do with mails that are neither.
    Dmarc,
    /// Where bounces are taken.
    Bounces,
}

/// A record to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// What it is for.
    pub purpose: Purpose,
    /// The full name.
    pub name: String,
    /// `TXT` or `MX`.
    pub kind: &'static str,
    /// What to publish; parts in angle brackets are the publisher's to know.
    pub value: String,
}

/// What was found of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The record.
    pub record: Record,
    /// Whether it does its work.
    pub is_good: bool,
    /// What is wrong, or what was found.
    pub says: String,
}

/// The records that the settings call for; DKIM's first, if a key is configured.
///
/// # Errors
/// [`MailError::Unusable`] if addresses or key cannot be read.
pub fn records(settings: &MailSettings) -> Result<Vec<Record>, MailError> {
    let unusable = |error: MailError| MailError::Unusable(error.to_string());
    let from = read_mailbox("mail.from", &settings.from).map_err(unusable)?;
    let return_path = settings.return_path.as_deref().unwrap_or(&settings.from);
    let return_path = read_mailbox("mail.return_path", return_path).map_err(unusable)?;
    let (from, bounces) = (from.email.domain(), return_path.email.domain());
    let txt = |purpose, name: String, value: String| Record { purpose, name, kind: "TXT", value };
    let mut records = Vec::new();
    if let (Some(signer), Some(domain)) = (Signer::new(settings)?, &settings.dkim_domain) {
        let name = format!("{}._domainkey.{domain}", settings.dkim_selector);
        records.push(txt(Purpose::Dkim, name, signer.record().to_owned()));
    }
    records.push(txt(
        Purpose::Spf,
        bounces.to_owned(),
        "v=spf1 include:<the name that your relay's provider gives> ~all".to_owned(),
    ));
    records.push(txt(
        Purpose::Dmarc,
        format!("_dmarc.{from}"),
        format!("v=DMARC1; p=quarantine; rua=mailto:postmaster@{from}"),
    ));
    let value = "10 <the host that takes mails for this domain>".to_owned();
    records.push(Record { purpose: Purpose::Bounces, name: bounces.to_owned(), kind: "MX", value });
    Ok(records)
}

/// Asks for every record and judges the answers.
///
/// # Errors
/// [`MailError::Unusable`] if this machine has no resolver.
pub async fn look_up(records: &[Record]) -> Result<Vec<Finding>, MailError> {
    let unusable = |error: &dyn std::fmt::Display| MailError::Unusable(format!("no resolver: {error}"));
    let builder = TokioResolver::builder_tokio().map_err(|error| unusable(&error))?;
    let resolver = builder.build().map_err(|error| unusable(&error))?;
    let mut findings = Vec::new();
    for record in records {
        findings.push(judge(record, &ask(&resolver, record).await));
    }
    Ok(findings)
}

async fn ask(resolver: &TokioResolver, record: &Record) -> Result<Vec<String>, String> {
    // The final dot keeps the machine's search domains out of it.
    let name = format!("{}.", record.name);
    let lookup = match record.kind {
        "MX" => resolver.mx_lookup(name).await,
        _ => resolver.txt_lookup(name).await,
    };
    match lookup {
        Ok(lookup) => Ok(lookup.answers().iter().filter_map(|answer| text(&answer.data)).collect()),
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

fn text(data: &RData) -> Option<String> {
    match data {
        // A long text travels in pieces of at most 255 bytes that belong together.
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect()),
        RData::MX(mx) => Some(format!("{} {}", mx.preference, mx.exchange)),
        _ => None,
    }
}

/// What the answers to one question mean. A question without answer is a failure: nothing is known.
#[must_use]
pub fn judge(record: &Record, answers: &Result<Vec<String>, String>) -> Finding {
    let (is_good, says) = match answers {
        Err(error) => (false, format!("could not be asked: {error}")),
        Ok(answers) => match record.purpose {
            Purpose::Dkim => judge_dkim(&record.value, answers),
            Purpose::Spf => judge_only("v=spf1", answers),
            Purpose::Dmarc => judge_only("v=DMARC1", answers),
            Purpose::Bounces => match answers.as_slice() {
                [] => (false, "no MX record: bounces are lost".to_owned()),
                all => (true, all.join(", ")),
            },
        },
    };
    Finding { record: record.clone(), is_good, says }
}

fn judge_dkim(wanted: &str, answers: &[String]) -> (bool, String) {
    let key = |text: &str| {
        let tag = text.split(';').find_map(|tag| tag.trim().strip_prefix("p="))?;
        Some(tag.split_whitespace().collect::<String>())
    };
    match answers {
        [] => (false, "not published".to_owned()),
        [one] if key(one) == key(wanted) => (true, "published".to_owned()),
        [_] => (false, "another key is published; signatures will not verify".to_owned()),
        _ => (false, "more than one record; receivers take none".to_owned()),
    }
}

/// SPF (RFC 7208 section 4.5) and DMARC (RFC 7489 section 6.6.3) are void if published twice.
fn judge_only(version: &str, answers: &[String]) -> (bool, String) {
    let is_it = |answer: &&String| {
        answer.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ';']))
    };
    match answers.iter().filter(is_it).collect::<Vec<_>>().as_slice() {
        [] => (false, "not published".to_owned()),
        [one] => (true, (*one).clone()),
        _ => (false, "published more than once; receivers take none".to_owned()),
    }
}

#[cfg(test)]
mod tests;
