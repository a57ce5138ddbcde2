//! Strings, numbers and words of JSON. Each function takes where a token begins and gives where it ends.

use super::Fault;

/// A string with its quotes.
pub(super) fn string(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start + 1;
    loop {
        let rest = bytes.get(at..).ok_or(Fault::Invalid)?;
        let length = memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::Invalid)?;
        if rest[..length].iter().any(|byte| *byte < 0x20) {
            return Err(Fault::Invalid);
        }
        at += length;
        if bytes[at] == b'"' {
            return Ok(at + 1);
        }
        at = escape(bytes, at)?;
    }
}

fn escape(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            let digits = bytes.get(at + 2..at + 6).ok_or(Fault::Invalid)?;
            if digits.iter().all(u8::is_ascii_hexdigit) { Ok(at + 6) } else { Err(Fault::Invalid) }
        }
        _ => Err(Fault::Invalid),
    }
}

/// `true`, `false` or `null`.
pub(super) fn word(bytes: &[u8], start: usize, word: &[u8]) -> Result<usize, Fault> {
    if bytes[start..].starts_with(word) { Ok(start + word.len()) } else { Err(Fault::Invalid) }
}

/// A number: sign, whole part without leading zeros, fraction, exponent.
pub(super) fn number(bytes: &[u8], start: usize) -> Result<usize, Fault> {
    let mut at = start;
    let has = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let digits = |at: usize| {
        let count = bytes[at.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 { Err(Fault::Invalid) } else { Ok(at + count) }
    };
    if has(at, b"-") {
        at += 1;
    }
    at = if has(at, b"0") { at + 1 } else { digits(at)? };
    if has(at, b".") {
        at = digits(at + 1)?;
    }
    if has(at, b"eE") {
        at += 1;
        if has(at, b"+-") {
            at += 1;
        }
        at = digits(at)?;
    }
    Ok(at)
}
