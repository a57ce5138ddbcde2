//! Rust source without its comments and literals, so that a rule may search for text and count braces.
//! A scanner, not a parser: it knows where code is, not what it means.

/// `source` with every comment, string and character literal replaced by spaces. Offsets and line ends stay.
pub(super) fn mask(source: &str) -> String {
    let mut masker = Masker { source: source.as_bytes(), at: 0, out: Vec::with_capacity(source.len()) };
    while masker.at < masker.source.len() {
        let end = masker.literal_end();
        if end == masker.at {
            masker.out.push(masker.source[masker.at]);
            masker.at += 1;
        } else {
            masker.blank(end);
        }
    }
    String::from_utf8(masker.out).unwrap_or_default()
}

/// The opposite: `source` with nothing but its literals. Offsets and line ends stay.
pub(super) fn literals(source: &str) -> String {
    let mut masker = Masker { source: source.as_bytes(), at: 0, out: Vec::with_capacity(source.len()) };
    while masker.at < masker.source.len() {
        let end = masker.literal_end();
        if end > masker.at && masker.source[masker.at] != b'/' {
            masker.out.extend(&masker.source[masker.at..end.min(masker.source.len())]);
            masker.at = end;
        } else {
            masker.blank(end.max(masker.at + 1));
        }
    }
    String::from_utf8(masker.out).unwrap_or_default()
}

struct Masker<'a> {
    source: &'a [u8],
    at: usize,
    out: Vec<u8>,
}

impl Masker<'_> {
    fn blank(&mut self, end: usize) {
        let end = end.min(self.source.len());
        self.out
            .extend(self.source[self.at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
        self.at = end;
    }

    /// Where the comment or literal that starts here ends; here itself if none starts.
    fn literal_end(&self) -> usize {
        let rest = &self.source[self.at..];
        match rest {
            [b'/', b'/', ..] => self.at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => self.at + block_comment(rest),
            [b'"', ..] => self.at + string(rest),
            [b'r', ..] if self.starts_word() => self.at + raw_string(rest),
            [b'\'', ..] => self.at + character(rest),
            _ => self.at,
        }
    }

    /// Whether the `r` here begins a raw literal's prefix rather than ending a name. `b` and `c` may stand before it.
    fn starts_word(&self) -> bool {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        match self.source[..self.at].split_last() {
            None => true,
            Some((b'b' | b'c', before)) => !before.last().is_some_and(is_name),
            Some((byte, _)) => !is_name(byte),
        }
    }
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while at < text.len() {
        match text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Length of `r"…"`, `r#"…"#`, …; 0 for a raw identifier or a plain name.
fn raw_string(text: &[u8]) -> usize {
    let hashes = text[1..].iter().take_while(|byte| **byte == b'#').count();
    if text.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    let found = text[body..].windows(close.len()).position(|window| window == close);
    found.map_or(text.len(), |found| body + found + close.len())
}

/// Length of a character literal; 0 for a lifetime or a label.
fn character(text: &[u8]) -> usize {
    if text.get(1) == Some(&b'\\') {
        let close = text.iter().skip(3).position(|byte| *byte == b'\'');
        return close.map_or(text.len(), |close| close + 4);
    }
    let width = text[1..].iter().skip(1).take_while(|byte| **byte & 0xC0 == 0x80).count() + 1;
    if text.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// The offset just past the brace that closes the one at `open`, in masked text.
pub(super) fn closing(masked: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in masked.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    masked.len()
}

/// The line of an offset, from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The offset of the brace that opens the body of the item starting at `from`; none if it ends in a semicolon.
pub(super) fn body(masked: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in masked.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Offsets at which `word` stands in `text` with no letter, digit or `_` on either side.
pub(super) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_name = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let bytes = text.as_bytes();
        !is_name(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !is_name(bytes.get(at + word.len()))
    })
}
