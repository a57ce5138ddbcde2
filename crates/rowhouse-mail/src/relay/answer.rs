//! Replies of an SMTP server (RFC 5321 section 4.2). Pure. Codes are classified by their first digit, since servers
//! use unregistered ones.

/// One reply: its code, and the text of its lines joined by spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelayReply {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl RelayReply {
    /// The first digit: 2 success, 3 intermediate, 4 transient failure, 5 permanent failure.
    pub(crate) fn class(&self) -> u16 {
        self.code / 100
    }
}

/// One line of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) code: u16,
    pub(crate) is_last: bool,
    pub(crate) text: String,
}

/// Parses a line without its end; `None` if it does not begin with three digits of which the first is 2 to 5.
pub(crate) fn line(bytes: &[u8]) -> Option<Line> {
    let (digits, rest) = bytes.split_at_checked(3)?;
    if !(b'2'..=b'5').contains(digits.first()?) {
        return None;
    }
    let code = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let (is_last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b'-', text)) => (false, text),
        Some((b' ' | b'\t', text)) => (true, text),
        Some(_) => return None,
    };
    let text = String::from_utf8_lossy(text);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Some(Line { code, is_last, text: text.trim().to_owned() })
}

#[cfg(test)]
mod tests;
