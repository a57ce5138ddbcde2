//! An entry as a line of CSV (RFC 4180).
//!
//! Clients choose some of the texts, such as the user agent, and spreadsheets run a cell that begins with `=` as a formula.
//! Such a cell gets an apostrophe in front; so does one that begins with an apostrophe, so that whoever takes one away has
//! the true value.

use std::fmt::Write as _;

use time::format_description::well_known::Rfc3339;

use crate::record::Record;

/// The first line.
pub(crate) const HEADER: &str = "id,occurred_at,source,action,actor,operation,request_id,organization_id,tenant_id,\
    target_kind,target_id,address,user_agent,details,sequence,hash,impersonator\r\n";
/// What makes a cell a formula at its beginning, in Excel, LibreOffice and Google Sheets; the last four are their full-width
/// forms. The apostrophe is our own.
const GUARDED: [char; 12] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\'', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Appends the entry's line.
pub(crate) fn append(record: &Record, out: &mut String) {
    let occurred_at = record.occurred_at.format(&Rfc3339).unwrap_or_default();
    let ids = [record.organization_id, record.tenant_id].map(|id| id.map(|id| id.to_string()));
    let impersonator = record.impersonator.map(|id| id.to_string());
    let sequence = record.sequence.map(|sequence| sequence.to_string());
    let _infallible = write!(out, "{},{occurred_at}", record.id);
    for text in [
        Some(record.source.as_str()),
        Some(record.action.as_str()),
        Some(record.actor.as_str()),
        record.operation.as_deref(),
        record.request_id.as_deref(),
        ids[0].as_deref(),
        ids[1].as_deref(),
        Some(record.target_kind.as_str()),
        Some(record.target_id.as_str()),
        record.address.as_deref(),
        record.user_agent.as_deref(),
        Some(record.details.get()),
        sequence.as_deref(),
        record.hash.as_deref(),
        impersonator.as_deref(),
    ] {
        out.push(',');
        append_field(text, out);
    }
    out.push_str("\r\n");
}

/// Appends a field as it has to be in CSV: quoted where it must be, and never a formula. Null is nothing, the empty text a
/// pair of quotes.
pub fn append_field(text: Option<&str>, out: &mut String) {
    let Some(text) = text else { return };
    let is_guarded = text.starts_with(GUARDED);
    if !is_guarded && !text.is_empty() && !text.contains([',', '"', '\r', '\n']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    if is_guarded {
        out.push('\'');
    }
    text.chars().for_each(|c| match c {
        '"' => out.push_str("\"\""),
        c => out.push(c),
    });
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::append_field;

    fn field(text: Option<&str>) -> String {
        let mut out = String::new();
        append_field(text, &mut out);
        out
    }

    #[test]
    fn field_is_quoted_where_it_must_be() {
        for (text, written) in [
            (None, ""),
            (Some(""), "\"\""),
            (Some("plain text"), "plain text"),
            (Some("a,b"), "\"a,b\""),
            (Some("a\"b"), "\"a\"\"b\""),
            (Some("a\r\nb"), "\"a\r\nb\""),
        ] {
            assert_eq!(field(text), written);
        }
    }

    #[test]
    fn formula_is_a_text_and_loses_nothing() {
        for text in ["=1+1", "+49151", "-1", "@SUM(A1)", "\tx", "\u{ff1d}1", "'quoted", "=\"a\""] {
            let written = field(Some(text));
            let inner = written.strip_prefix("\"'").and_then(|rest| rest.strip_suffix('"')).unwrap();
            assert_eq!(inner.replace("\"\"", "\""), text);
        }
    }
}
