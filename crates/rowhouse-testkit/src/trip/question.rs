//! Which of a client's questions the server has not answered to their end, read from what passes by.

use super::frame::Frames;

/// ReadyForQuery outside a transaction: the end of a sign-in or of a transaction.
pub(super) const IDLE: &[u8] = b"Z\0\0\0\x05I";

/// One connection's. Before the sign-in has ended, every answer counts as one to its end.
#[derive(Debug, Default)]
pub(super) struct Questions {
    has_signed_in: bool,
    asked: Frames,
    answered: Frames,
    open: usize,
}

impl Questions {
    pub(super) fn has_signed_in(&self) -> bool {
        self.has_signed_in
    }

    /// What the client has sent. Simple queries and Syncs are answered by a ReadyForQuery each.
    pub(super) fn ask(&mut self, bytes: &[u8]) {
        if self.has_signed_in {
            self.open += self.asked.count(bytes, b"QS");
        }
    }

    /// What the server has sent; whether nothing is left to be answered.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> bool {
        if self.has_signed_in {
            self.open = self.open.saturating_sub(self.answered.count(bytes, b"Z"));
        } else {
            self.has_signed_in = bytes.ends_with(IDLE);
        }
        self.open == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";
    const SYNC: &[u8] = b"S\0\0\0\x04";
    const ROW: &[u8] = b"D\0\0\0\x0a\0\0Z\0\0\0";
    const READY: &[u8] = b"Z\0\0\0\x05T";

    fn signed_in() -> Questions {
        let mut questions = Questions::default();
        questions.ask(b"\0\0\0\x08\0\x03\0\0");
        assert!(questions.answer(IDLE));
        questions
    }

    #[test]
    fn question_is_open_until_its_last_answer() {
        let mut questions = signed_in();
        questions.ask(&[QUERY, SYNC].concat());
        assert!(!questions.answer(ROW));
        assert!(!questions.answer(READY));
        assert!(questions.answer(READY));
    }

    #[test]
    fn frames_may_come_in_pieces() {
        let mut questions = signed_in();
        let (asked, answered) = ([QUERY, SYNC].concat(), [ROW, READY, READY].concat());
        asked.chunks(3).for_each(|piece| questions.ask(piece));
        let ends: Vec<bool> = answered.chunks(1).map(|piece| questions.answer(piece)).collect();
        // A frame counts once its five bytes of header are there.
        assert_eq!(ends.iter().position(|end| *end), Some(ROW.len() + READY.len() + 4));
    }
}
