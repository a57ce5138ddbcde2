//! The strict form of From and Sender in mails of a tenant. Programs that show mails read the obsolete and the malformed
//! forms in different ways, so that one could show an address that the tenant has not proved.

use std::iter::once;

use super::name_of;
use crate::error::MailError;

/// Refuses a From or Sender that is anything but one mailbox (RFC 5322 section 3.4) without comments, whose address needs
/// no quotes. The display name may have dots, as in `J. Doe`.
pub(super) fn require_one_each(head: &str) -> Result<(), MailError> {
    for name in ["From", "Sender"] {
        if value_of(head, name).is_some_and(|value| !is_mailbox(&value)) {
            return Err(MailError::invalid(format!(
                "{name} is not one plain mailbox: name@domain or \"Name\" <name@domain>"
            )));
        }
    }
    Ok(())
}

/// The value of a header, unfolded.
fn value_of(head: &str, name: &str) -> Option<String> {
    let is_it = |line: &&str| name_of(line).is_some_and(|found| found.eq_ignore_ascii_case(name));
    let mut lines = head.split("\r\n").skip_while(|line| !is_it(line));
    let (_, first) = lines.next()?.split_once(':')?;
    Some(once(first).chain(lines.take_while(|line| line.starts_with([' ', '\t']))).collect())
}

fn is_mailbox(value: &str) -> bool {
    let value = value.trim_matches([' ', '\t']);
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return false;
    }
    match value.strip_suffix('>').and_then(|start| start.rsplit_once('<')) {
        Some((name, address)) => is_phrase(name) && is_address(address),
        None => is_address(value),
    }
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| is_dot_atom(local) && is_dot_atom(domain))
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    let is_ascii = c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    is_ascii || (!c.is_ascii() && !c.is_whitespace())
}

/// Words and quoted strings.
fn is_phrase(text: &str) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let fits = text.chars().all(|c| {
        if is_escaped {
            is_escaped = false;
        } else if c == '"' {
            is_quoted = !is_quoted;
        } else if is_quoted {
            is_escaped = c == '\\';
        } else {
            return is_atext(c) || matches!(c, ' ' | '\t' | '.');
        }
        true
    });
    fits && !is_quoted
}

#[cfg(test)]
mod tests {
    use super::require_one_each;

    #[test]
    fn one_plain_mailbox_is_taken() {
        for from in [
            "a@x.example",
            "<a@x.example>",
            "J. Doe <a@x.example>",
            "\"Doe, \\\"J\\\" <j@y.example>\" <a@x.example>",
            "=?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@x.example>",
            "Grüße\r\n <a@x.example>\t",
        ] {
            let head = format!("Subject: s\r\nfrom: {from}\r\nTo: b@y.example\r\n");
            assert!(require_one_each(&head).is_ok(), "{from:?}");
        }
    }

    #[test]
    fn what_readers_take_for_different_addresses_is_refused() {
        for from in [
            "victim@y.example <a@x.example>",
            "victim@y.example: a@x.example;",
            "victim@y.example\u{b}<a@x.example>",
            "victim\\@y.example <a@x.example>",
            "=?utf-8?q?victim=40y.example=2C?= a@x.example",
            "a@x.example, b@x.example",
            "a@x.example (victim@y.example)",
            "\"victim@y.example <a@x.example>",
            "<victim@y.example> <a@x.example>",
            "<@y.example:a@x.example>",
            "\"victim@y.example\"@x.example",
        ] {
            for name in ["From", "Sender"] {
                let head = format!("Subject: s\r\n{name}: {from}\r\nTo: b@y.example\r\n");
                assert!(require_one_each(&head).is_err(), "{name}: {from:?}");
            }
        }
    }
}
