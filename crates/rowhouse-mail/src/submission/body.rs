//! The message after DATA: strict line ends, dot-unstuffing, limits. Pure. A faulty message is read to its end and
//! discarded, so that the session continues after the refusal.

use memchr::{memchr, memchr_iter};

use super::memory::Reservation;
use super::reply::{self, Reply};

/// RFC 5322 section 2.1.1, with the line end.
const LONGEST_LINE: usize = 1000;

/// Why a message is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFault {
    BareLineBreak,
    Nul,
    LongLine,
    TooLarge,
    NoMemory,
}

impl BodyFault {
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

/// The state of reading a message.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    most: usize,
    reservation: Reservation,
    fault: Option<BodyFault>,
    /// Bytes of the current line so far, and whether it began with a dot.
    line_len: usize,
    dotted: bool,
    last: u8,
}

impl Body {
    /// A body of at most `most` bytes, whose memory is counted in `reservation`.
    pub(crate) fn new(most: usize, reservation: Reservation) -> Self {
        Self { bytes: Vec::new(), most, reservation, fault: None, line_len: 0, dotted: false, last: 0 }
    }

    /// Consumes the message's bytes from the front of `input`; returns their number and whether the message is complete.
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

    /// The complete message and its memory reservation.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, Reservation), BodyFault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((self.bytes, self.reservation)),
        }
    }

    /// Consumes a piece of one line, up to its end or not. True if it ends the message.
    fn piece(&mut self, piece: &[u8]) -> bool {
        let Some((&first, &last)) = piece.first().zip(piece.last()) else { return false };
        self.check(piece, first);
        let begins = self.line_len == 0;
        if begins {
            self.dotted = first == b'.';
        }
        let before = if piece.len() > 1 { piece[piece.len() - 2] } else { self.last };
        self.line_len += piece.len();
        self.last = last;
        // Only CR LF ends a line. Accepting a bare LF would allow SMTP smuggling: one message read as two.
        let ends = last == b'\n' && before == b'\r';
        let is_end_of_message = ends && self.dotted && self.line_len == 3;
        if last == b'\n' && !ends {
            self.fail(BodyFault::BareLineBreak);
        }
        if self.line_len > LONGEST_LINE + usize::from(self.dotted) {
            self.fail(BodyFault::LongLine);
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

    fn check(&mut self, piece: &[u8], first: u8) {
        let alone = |at: usize| piece.get(at + 1).is_some_and(|next| *next != b'\n');
        if (self.last == b'\r' && first != b'\n') || memchr_iter(b'\r', piece).any(alone) {
            self.fail(BodyFault::BareLineBreak);
        }
        if memchr(0, piece).is_some() {
            self.fail(BodyFault::Nul);
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.bytes.len() + piece.len() > self.most + 2 {
            self.fail(BodyFault::TooLarge);
        }
        if self.fault.is_none() && !self.reservation.grow(self.bytes.len() + piece.len()) {
            self.fail(BodyFault::NoMemory);
        }
        if self.fault.is_none() {
            self.bytes.extend_from_slice(piece);
        }
    }

    fn fail(&mut self, fault: BodyFault) {
        if self.fault.is_none() {
            self.fault = Some(fault);
            self.bytes = Vec::new();
            self.reservation.release();
        }
    }
}

#[cfg(test)]
mod tests;
