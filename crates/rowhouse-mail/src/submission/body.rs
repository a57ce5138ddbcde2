//! The message after DATA: strict line ends, dot-unstuffing, limits. Pure. A message with a fault is read to its end and
//! thrown away, so that the session goes on after a refusal.

use memchr::{memchr, memchr_iter};

use super::memory::Hold;
use super::reply::{self, Reply};

/// RFC 5322 section 2.1.1, with the line end.
const LONGEST_LINE: usize = 1000;

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    BareLineBreak,
    Nul,
    LongLine,
    TooLarge,
    NoMemory,
}

impl Fault {
    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::BareLineBreak => reply::BARE_IN_MESSAGE,
            Self::Nul => reply::NUL_IN_MESSAGE,
            Self::LongLine => reply::LONG_LINE_IN_MESSAGE,
            Self::TooLarge => reply::TOO_LARGE,
            Self::NoMemory => reply::NO_MEMORY,
        }
    }
}

/// A message being read.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    most: usize,
    hold: Hold,
    fault: Option<Fault>,
    /// Bytes of the current line so far, and whether it began with a dot.
    line_len: usize,
    dotted: bool,
    last: u8,
}

impl Body {
    /// Of at most `most` bytes, kept within `hold`.
    pub(crate) fn new(most: usize, hold: Hold) -> Self {
        Self { bytes: Vec::new(), most, hold, fault: None, line_len: 0, dotted: false, last: 0 }
    }

    /// Takes what belongs to the message from the front of `input`; the number of bytes, and whether it is complete.
    pub(crate) fn feed(&mut self, input: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        while taken < input.len() {
            let rest = &input[taken..];
            let piece = memchr(b'\n', rest).map_or(rest, |at| &rest[..=at]);
            taken += piece.len();
            if self.piece(piece) {
                return (taken, true);
            }
        }
        (taken, false)
    }

    /// The message, once complete, and what holds its memory.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, Hold), Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((self.bytes, self.hold)),
        }
    }

    /// A piece of one line, which may or may not reach its end. True if it ends the message.
    fn piece(&mut self, piece: &[u8]) -> bool {
        let Some((&first, &last)) = piece.first().zip(piece.last()) else { return false };
        self.judge(piece, first);
        let begins = self.line_len == 0;
        if begins {
            self.dotted = first == b'.';
        }
        let before = if piece.len() > 1 { piece[piece.len() - 2] } else { self.last };
        self.line_len += piece.len();
        self.last = last;
        // Only CR LF ends a line: whoever takes less for an end can be made to see two messages in one.
        let ends = last == b'\n' && before == b'\r';
        let is_end_of_message = ends && self.dotted && self.line_len == 3;
        if last == b'\n' && !ends {
            self.blame(Fault::BareLineBreak);
        }
        if self.line_len > LONGEST_LINE + usize::from(self.dotted) {
            self.blame(Fault::LongLine);
        }
        self.keep(if begins && self.dotted { &piece[1..] } else { piece });
        if ends {
            self.line_len = 0;
        }
        if is_end_of_message {
            let message = self.bytes.len().saturating_sub(2);
            self.bytes.truncate(message);
        }
        is_end_of_message
    }

    fn judge(&mut self, piece: &[u8], first: u8) {
        let alone = |at: usize| piece.get(at + 1).is_some_and(|next| *next != b'\n');
        if (self.last == b'\r' && first != b'\n') || memchr_iter(b'\r', piece).any(alone) {
            self.blame(Fault::BareLineBreak);
        }
        if memchr(0, piece).is_some() {
            self.blame(Fault::Nul);
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.bytes.len() + piece.len() > self.most + 2 {
            self.blame(Fault::TooLarge);
        }
        if self.fault.is_none() && !self.hold.grow(self.bytes.len() + piece.len()) {
            self.blame(Fault::NoMemory);
        }
        if self.fault.is_none() {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn blame(&mut self, fault: Fault) {
        if self.fault.is_none() {
            self.fault = Some(fault);
            self.bytes = Vec::new();
            self.hold.release();
        }
    }
}

#[cfg(test)]
mod tests;
