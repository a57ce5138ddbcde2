//! Scans a JSON body once (RFC 8259): well-formedness, depth, and keys of its objects.
//!
//! No tree is built: the text is passed to PostgreSQL unchanged. Open brackets are kept in a stack of bytes instead
//! of recursion.

mod keys;
mod token;

use keys::KeySet;
use token::{number, string, word};

/// The result of a scan.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) outer: Outer,
    /// Keys of the outermost object, or of the first object of the outermost array; sorted, each once.
    pub(super) keys: Vec<String>,
    /// Every element of the outermost array is an object with the same set of keys.
    pub(super) uniform: bool,
    /// Elements of the outermost array.
    pub(super) elements: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outer {
    Object,
    Array,
    Scalar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Invalid,
    TooDeep,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<u8>,
    max_depth: usize,
    outer: Outer,
    uniform: bool,
    elements: usize,
    keys: KeySet<'a>,
}

/// Scans `bytes`, which may nest `max_depth` deep.
pub(super) fn scan(bytes: &[u8], max_depth: usize) -> Result<Scan, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Invalid)?;
    let keys = KeySet::default();
    let open = Vec::new();
    let outer = Outer::Scalar;
    let mut scanner = Scanner { bytes, at: 0, open, max_depth, outer, uniform: true, elements: 0, keys };
    scanner.run()?;
    let Scanner { outer, uniform, elements, .. } = scanner;
    Ok(Scan { outer, keys: scanner.keys.into_names(), uniform, elements })
}

impl<'a> Scanner<'a> {
    fn run(&mut self) -> Result<(), Fault> {
        let mut next = Next::Value;
        loop {
            self.skip_blanks();
            let Some(byte) = self.peek() else { return Err(Fault::Invalid) };
            next = match (next, byte) {
                (Next::Value | Next::ValueOrEnd, b'{' | b'[') => self.enter(byte)?,
                (Next::ValueOrEnd, b']') | (Next::KeyOrEnd, b'}') => self.leave(byte)?,
                (Next::Value | Next::ValueOrEnd, _) => self.scalar(byte)?,
                (Next::Key | Next::KeyOrEnd, b'"') => self.key()?,
                (Next::CommaOrEnd, b',') => self.comma(),
                (Next::CommaOrEnd, b']' | b'}') => self.leave(byte)?,
                _ => return Err(Fault::Invalid),
            };
            if self.open.is_empty() {
                self.skip_blanks();
                return if self.peek().is_none() { Ok(()) } else { Err(Fault::Invalid) };
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn enter(&mut self, bracket: u8) -> Result<Next, Fault> {
        if self.open.len() >= self.max_depth {
            return Err(Fault::TooDeep);
        }
        match (self.open.len(), bracket) {
            (0, b'{') => self.outer = Outer::Object,
            (0, _) => self.outer = Outer::Array,
            (1, bracket) if self.outer == Outer::Array => {
                self.uniform &= bracket == b'{';
                self.elements += 1;
            }
            _ => {}
        }
        self.open.push(bracket);
        self.at += 1;
        if self.is_row() {
            self.keys.begin();
        }
        Ok(if bracket == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd })
    }

    fn leave(&mut self, bracket: u8) -> Result<Next, Fault> {
        let is_row = self.is_row();
        match (self.open.pop(), bracket) {
            (Some(b'{'), b'}') | (Some(b'['), b']') => {}
            _ => return Err(Fault::Invalid),
        }
        self.at += 1;
        if is_row {
            self.uniform &= self.keys.end()?;
        }
        Ok(Next::CommaOrEnd)
    }

    /// The open bracket is an object whose keys are columns.
    fn is_row(&self) -> bool {
        matches!(self.open.as_slice(), b"{" | b"[{")
    }

    fn comma(&mut self) -> Next {
        self.at += 1;
        if self.open.last() == Some(&b'{') { Next::Key } else { Next::Value }
    }

    fn key(&mut self) -> Result<Next, Fault> {
        let start = self.at;
        self.at = string(self.bytes, start)?;
        let key: &'a [u8] = &self.bytes[start..self.at];
        if self.is_row() {
            self.keys.key(key)?;
        }
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(Fault::Invalid);
        }
        self.at += 1;
        Ok(Next::Value)
    }

    fn scalar(&mut self, byte: u8) -> Result<Next, Fault> {
        if self.open.as_slice() == b"[" {
            self.uniform = false;
            self.elements += 1;
        }
        self.at = match byte {
            b'"' => string(self.bytes, self.at)?,
            b't' => word(self.bytes, self.at, b"true")?,
            b'f' => word(self.bytes, self.at, b"false")?,
            b'n' => word(self.bytes, self.at, b"null")?,
            _ => number(self.bytes, self.at)?,
        };
        Ok(Next::CommaOrEnd)
    }
}

#[cfg(test)]
mod tests;
