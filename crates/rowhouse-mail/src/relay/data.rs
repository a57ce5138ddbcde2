//! Dot-stuffing for DATA (RFC 5321 section 4.5.2): lines that begin with a dot get another, and a single dot ends the
//! message. A message that ends with CR LF gets no additional line.

use memchr::memchr;

/// The dot-stuffed message with its end.
pub(super) fn encode(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 60 + 5);
    let mut rest = message;
    while !rest.is_empty() {
        if rest.starts_with(b".") {
            out.push(b'.');
        }
        let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        out.extend_from_slice(&rest[..end]);
        rest = &rest[end..];
    }
    if !message.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests;
