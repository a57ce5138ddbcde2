//! DNS records of a sending domain (DKIM, SPF, DMARC, MX), and whether they are published. Judging is pure;
//! [`look_up`] asks the machine's resolver.

use std::net::SocketAddr;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use serde::Serialize;

use crate::dkim::Signer;
use crate::error::MailError;
use crate::message::read_mailbox;
use crate::settings::MailSettings;

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The key that signatures are checked with.
    Dkim,
    /// Who may send for the domain of the envelope sender.
    Spf,
    /// What receivers do with mails that pass neither.
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
    /// What to publish; parts in angle brackets are to be filled in.
    pub value: String,
}

/// The state of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordState {
    /// Published and correct.
    Good,
    /// Published and wrong.
    Wrong,
    /// Not published.
    Missing,
    /// No name server answered.
    Unknown,
}

impl RecordState {
    /// As printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Wrong => "wrong",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// The result of looking a record up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// Its state.
    pub state: RecordState,
    /// What is wrong, or what was found.
    pub says: String,
}

/// The records that the settings need; DKIM's first, if a key is configured.
///
/// # Errors
/// [`MailError::Unusable`] if addresses or key cannot be read.
pub fn records(settings: &MailSettings) -> Result<Vec<Record>, MailError> {
    let unusable = |error: MailError| MailError::Unusable(error.to_string());
    let from = read_mailbox("mail.from", &settings.from).map_err(unusable)?;
    let return_path = settings.return_path.as_deref().unwrap_or(&settings.from);
    let return_path = read_mailbox("mail.return_path", return_path).map_err(unusable)?;
    let (from, bounces) = (from.email.domain(), return_path.email.domain());
    for (key, domain) in [("mail.from", from), ("mail.return_path", bounces)] {
        if !domain.contains('.') || domain.starts_with('[') {
            return Err(MailError::Unusable(format!(
                "{key}: {domain} is no domain that can publish records"
            )));
        }
    }
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

/// Remarks that concern no single record.
#[must_use]
pub fn notes(settings: &MailSettings) -> Vec<String> {
    let Some(signs) = &settings.dkim_domain else {
        return vec!["mails are not signed: mail.dkim_domain and mail.dkim_key are not set".to_owned()];
    };
    let from = read_mailbox("mail.from", &settings.from);
    let from = from.map(|from| from.email.domain().to_lowercase()).unwrap_or_default();
    let signs = signs.to_lowercase();
    // Relaxed alignment (RFC 7489 section 3.1.1), without the list of public suffixes.
    let is_kin =
        from == signs || from.ends_with(&format!(".{signs}")) || signs.ends_with(&format!(".{from}"));
    if is_kin {
        return Vec::new();
    }
    vec![format!("mail.dkim_domain is {signs}, mails are from {from}: DMARC does not count such a signature")]
}

/// Looks every record up, at `server` or by the machine's resolver, and judges the answers.
///
/// # Errors
/// [`MailError::Unusable`] if this machine has no resolver.
pub async fn look_up(records: &[Record], server: Option<SocketAddr>) -> Result<Vec<Finding>, MailError> {
    let resolver = resolver(server)?;
    let answers = join_all(records.iter().map(|record| ask(&resolver, &record.name, record.kind))).await;
    Ok(records.iter().zip(answers).map(|(record, answers)| judge(record, &answers)).collect())
}

/// The TXT records of a name; an error if no name server answered.
pub(crate) async fn text(
    name: &str,
    server: Option<SocketAddr>,
) -> Result<Result<Vec<String>, String>, MailError> {
    Ok(ask(&resolver(server)?, name, "TXT").await)
}

/// The records of a name, of kind `TXT`, `MX`, `CNAME`, `A` or `AAAA`, as texts; none of any other kind. The inner error: no name
/// server answered.
///
/// # Errors
/// [`MailError::Unusable`] if this machine has no resolver.
pub async fn query(
    name: &str,
    kind: &str,
    server: Option<SocketAddr>,
) -> Result<Result<Vec<String>, String>, MailError> {
    Ok(ask(&resolver(server)?, name, kind).await)
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, MailError> {
    let unusable = |error: &dyn std::fmt::Display| MailError::Unusable(format!("no resolver: {error}"));
    let builder = match server {
        Some(server) => {
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server(server)]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().map_err(|error| unusable(&error))?,
    };
    builder.build().map_err(|error| unusable(&error))
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    let at_port = |connection: &mut ConnectionConfig| connection.port = address.port();
    server.connections.iter_mut().for_each(at_port);
    server
}

async fn ask(resolver: &TokioResolver, name: &str, kind: &str) -> Result<Vec<String>, String> {
    // The final dot prevents the machine's search domains from being appended.
    let name = format!("{name}.");
    let kind = match kind {
        "MX" => RecordType::MX,
        "CNAME" => RecordType::CNAME,
        "A" => RecordType::A,
        "AAAA" => RecordType::AAAA,
        _ => RecordType::TXT,
    };
    match resolver.lookup(name, kind).await {
        // An answer begins with the aliases that lead to it.
        Ok(lookup) => {
            let records = lookup.answers().iter().filter(|answer| answer.data.record_type() == kind);
            Ok(records.filter_map(|answer| data_text(&answer.data)).collect())
        }
        Err(error) if error.is_no_records_found() => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

fn data_text(data: &RData) -> Option<String> {
    match data {
        // A long TXT record consists of strings of at most 255 bytes, which are joined.
        RData::TXT(txt) => Some(txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect()),
        RData::CNAME(alias) => Some(alias.0.to_string()),
        RData::A(address) => Some(address.0.to_string()),
        RData::AAAA(address) => Some(address.0.to_string()),
        RData::MX(mx) => Some(format!("{} {}", mx.preference, mx.exchange)),
        _ => None,
    }
}

/// Judges the answers to one question. Without an answer the state is unknown.
#[must_use]
pub fn judge(record: &Record, answers: &Result<Vec<String>, String>) -> Finding {
    let (state, says) = match answers {
        Err(error) => (RecordState::Unknown, format!("could not be asked: {error}")),
        Ok(answers) => match record.purpose {
            Purpose::Dkim => judge_dkim(&record.value, answers),
            Purpose::Spf => judge_only("v=spf1", answers, spf_lets_nobody),
            Purpose::Dmarc => judge_only("v=DMARC1", answers, dmarc_says_nothing),
            Purpose::Bounces => judge_bounces(answers),
        },
    };
    Finding { record: record.clone(), state, says }
}

fn missing() -> (RecordState, String) {
    (RecordState::Missing, "not published".to_owned())
}

fn judge_dkim(wanted: &str, answers: &[String]) -> (RecordState, String) {
    let key = |text: &str| {
        let tag = text.split(';').find_map(|tag| tag.trim().strip_prefix("p="))?;
        Some(tag.split_whitespace().collect::<String>())
    };
    match answers {
        [] => missing(),
        [one] if key(one) == key(wanted) => (RecordState::Good, "published".to_owned()),
        [_] => (RecordState::Wrong, "another key is published; signatures will not verify".to_owned()),
        _ => (RecordState::Wrong, "more than one record; receivers take none".to_owned()),
    }
}

/// SPF (RFC 7208 section 4.5) and DMARC (RFC 7489 section 6.6.3) are void if published twice.
fn judge_only(
    version: &str,
    answers: &[String],
    fault: fn(&str) -> Option<&'static str>,
) -> (RecordState, String) {
    let is_it = |answer: &&String| {
        answer.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ';']))
    };
    match answers.iter().filter(is_it).collect::<Vec<_>>().as_slice() {
        [] => missing(),
        [one] => match fault(one) {
            Some(fault) => (RecordState::Wrong, format!("{fault}: {one}")),
            None => (RecordState::Good, (*one).clone()),
        },
        _ => (RecordState::Wrong, "published more than once; receivers take none".to_owned()),
    }
}

/// A record of only modifiers and refusals, as published by a domain that sends no mail.
fn spf_lets_nobody(record: &str) -> Option<&'static str> {
    let lets =
        |term: &str| term.starts_with("redirect=") || !(term.contains('=') || term.starts_with(['-', '~']));
    (!record.split_whitespace().skip(1).any(lets)).then_some("it allows nobody to send")
}

/// A record without a policy is invalid (RFC 7489 section 6.3).
fn dmarc_says_nothing(record: &str) -> Option<&'static str> {
    let policy = record.split(';').find_map(|tag| tag.trim().strip_prefix("p="));
    let is_known = policy.is_some_and(|policy| ["none", "quarantine", "reject"].contains(&policy.trim()));
    (!is_known).then_some("it has no policy (p=none, quarantine or reject)")
}

/// A single dot means that the domain accepts no mail (RFC 7505).
fn judge_bounces(answers: &[String]) -> (RecordState, String) {
    match answers {
        [] => (RecordState::Missing, "not published: bounces are lost".to_owned()),
        all if all.iter().all(|answer| answer.ends_with(" .")) => {
            (RecordState::Wrong, "the domain takes no mail: bounces are lost".to_owned())
        }
        all => (RecordState::Good, all.join(", ")),
    }
}

#[cfg(test)]
mod tests;
