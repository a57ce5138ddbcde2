//! Reads the tar archives of a base backup as they arrive (POSIX.1-1988 ustar, as PostgreSQL writes it: plain files, folders
//! and links, no long names). Leaves where the files go to `restore`.

const BLOCK: usize = 512;

/// What a header announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative, without a trailing slash.
    pub(crate) path: String,
    pub(crate) kind: EntryKind,
    /// Bytes that follow.
    pub(crate) size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Folder,
    Link,
}

/// Where entries go.
pub(crate) trait Sink {
    type Error: From<BadArchive>;
    /// A file, a folder or a link begins.
    fn begin(&mut self, entry: &Entry) -> Result<(), Self::Error>;
    /// Bytes of the file that has begun.
    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
    /// The file is complete.
    fn end(&mut self) -> Result<(), Self::Error>;
}

/// What is not an archive.
#[derive(Debug, thiserror::Error)]
#[error("not a tar archive of PostgreSQL: {0}")]
pub(crate) struct BadArchive(&'static str);

/// An archive being read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    header: Vec<u8>,
    /// Bytes of the file still to come, and of the padding after it.
    left: u64,
    padding: u64,
    is_in_file: bool,
    is_over: bool,
}

impl Reader {
    /// Takes the next bytes, in pieces of any size.
    pub(crate) fn push<S: Sink>(&mut self, mut bytes: &[u8], sink: &mut S) -> Result<(), S::Error> {
        while !bytes.is_empty() && !self.is_over {
            if self.is_in_file {
                bytes = self.file(bytes, sink)?;
            } else if self.padding > 0 {
                let skipped = usize::try_from(self.padding).unwrap_or(usize::MAX).min(bytes.len());
                self.padding -= skipped as u64;
                bytes = &bytes[skipped..];
            } else {
                bytes = self.header(bytes, sink)?;
            }
        }
        Ok(())
    }

    /// Fails if the archive has ended in the middle of a file.
    pub(crate) fn finish(&self) -> Result<(), BadArchive> {
        match self.is_in_file || !self.header.is_empty() {
            true => Err(BadArchive("it ends early")),
            false => Ok(()),
        }
    }

    fn file<'a, S: Sink>(&mut self, bytes: &'a [u8], sink: &mut S) -> Result<&'a [u8], S::Error> {
        let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (now, rest) = bytes.split_at(taken);
        sink.data(now)?;
        self.left -= taken as u64;
        if self.left == 0 {
            self.is_in_file = false;
            sink.end()?;
        }
        Ok(rest)
    }

    fn header<'a, S: Sink>(&mut self, bytes: &'a [u8], sink: &mut S) -> Result<&'a [u8], S::Error> {
        let (now, rest) = bytes.split_at((BLOCK - self.header.len()).min(bytes.len()));
        self.header.extend_from_slice(now);
        if self.header.len() < BLOCK {
            return Ok(rest);
        }
        let header = std::mem::take(&mut self.header);
        if header.iter().all(|byte| *byte == 0) {
            self.is_over = true;
            return Ok(rest);
        }
        let entry = parse(&header)?;
        sink.begin(&entry)?;
        if entry.kind == EntryKind::File {
            (self.left, self.is_in_file) = (entry.size, entry.size > 0);
            self.padding = entry.size.next_multiple_of(BLOCK as u64) - entry.size;
            if entry.size == 0 {
                sink.end()?;
            }
        }
        Ok(rest)
    }
}

fn parse(header: &[u8]) -> Result<Entry, BadArchive> {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(*byte) })
        .sum();
    if number(&header[148..156]) != Some(sum) {
        return Err(BadArchive("a header's checksum is wrong"));
    }
    let kind = match header[156] {
        b'0' | 0 => EntryKind::File,
        b'5' => EntryKind::Folder,
        b'2' => EntryKind::Link,
        _ => return Err(BadArchive("an entry is neither file, folder nor link")),
    };
    let path = text(&header[..100]).trim_end_matches('/').trim_start_matches("./").to_owned();
    let is_inside = !path.starts_with('/') && path.split('/').all(|part| part != "..");
    if !is_inside {
        return Err(BadArchive("a path leads out of it"));
    }
    let size = number(&header[124..136]).ok_or(BadArchive("a size is not a number"))?;
    Ok(Entry { path, kind, size })
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// Octal digits; larger numbers are binary, marked by the highest bit (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        return Some(field.iter().skip(1).fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    let digits = text(field);
    u64::from_str_radix(digits.trim(), 8).ok()
}

#[cfg(test)]
mod tests;
