//! A message as DATA carries it (RFC 5321 section 4.5.2): lines that begin with a dot get another, and a line that is only a
//! dot ends it. Nothing else is added: a message that ends with CR LF gets no empty line.

use memchr::memchr;

/// The message with dots doubled and the end in place.
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
