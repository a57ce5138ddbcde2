//! Detects HTTP/1.1 or HTTP/2 by the connection's first bytes (RFC 9113 section 3.4).

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The protocol version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http1,
    Http2,
}

/// Reads until the version is known. The bytes read belong to the first request.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(Speaks, Bytes)> {
    let (mut first, mut length) = ([0; PREFACE.len()], 0);
    while length < PREFACE.len() && PREFACE.starts_with(&first[..length]) {
        match stream.read(&mut first[length..]).await? {
            0 => break,
            count => length += count,
        }
    }
    let speaks = if first == *PREFACE { Speaks::Http2 } else { Speaks::Http1 };
    Ok((speaks, Bytes::copy_from_slice(&first[..length])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn versions_are_detected_and_no_byte_is_lost() {
        for (sent, speaks) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], Speaks::Http1),
            (b"P", Speaks::Http1),
            (b"", Speaks::Http1),
            (b"PRI * HTTP/1.1\r\nhost: x\r\n\r\n", Speaks::Http1),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest", Speaks::Http2),
        ] {
            let mut rest = sent;
            let (found, first) = read(&mut rest).await.unwrap();
            assert_eq!((found, [&first, rest].concat()), (speaks, sent.to_vec()));
        }
    }
}
