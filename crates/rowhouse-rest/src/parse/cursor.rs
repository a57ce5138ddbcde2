//! A cursor over the text for the grammar functions, and their errors.

use super::QueryError;

/// A position in `text`; copied for lookahead and backtracking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Something other than what the grammar expects, at a byte position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    at: usize,
    expecting: &'static str,
}

impl Mistake {
    /// The mistake as PostgREST words it: `what` names the parameter, `shown` is the text as the client wrote it.
    pub(super) fn explain(&self, what: &str, shown: &str, parsed: &str) -> QueryError {
        let before = parsed.get(..self.at).unwrap_or(parsed);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let unexpected = match parsed.get(self.at..).and_then(|rest| rest.chars().next()) {
            // Parsec's way to say that the text might have ended here.
            Some(character) if self.expecting.ends_with("end of input") => format!("'{character}'"),
            Some(character) => format!("\"{character}\""),
            None => "end of input".to_owned(),
        };
        QueryError {
            message: format!("\"failed to parse {what} ({shown})\" (line {line}, column {column})"),
            details: format!("unexpected {unexpected} expecting {}", self.expecting),
        }
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.text.len()
    }

    pub(super) fn starts_with(&self, prefix: &str) -> bool {
        self.rest().starts_with(prefix)
    }

    /// Consumes `token` if it is next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let found = self.starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &str, expecting: &'static str) -> Result<(), Mistake> {
        if self.eat(token) { Ok(()) } else { Err(self.mistake(expecting)) }
    }

    /// Consumes characters while they are `wanted`.
    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|character| !wanted(character)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    pub(super) fn take_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.at = self.text.len();
        rest
    }

    pub(super) fn skip_blanks(&mut self) {
        self.take_while(|character| character == ' ' || character == '\t');
    }

    /// Consumes `token` with surrounding blanks.
    pub(super) fn eat_lexeme(&mut self, token: &str) -> bool {
        let mut ahead = *self;
        ahead.skip_blanks();
        if !ahead.eat(token) {
            return false;
        }
        ahead.skip_blanks();
        *self = ahead;
        true
    }

    pub(super) fn expect_lexeme(&mut self, token: &str, expecting: &'static str) -> Result<(), Mistake> {
        self.skip_blanks();
        self.expect(token, expecting)?;
        self.skip_blanks();
        Ok(())
    }

    pub(super) fn expect_end(&self) -> Result<(), Mistake> {
        if self.is_done() { Ok(()) } else { Err(self.mistake("end of input")) }
    }

    pub(super) fn mistake(&self, expecting: &'static str) -> Mistake {
        Mistake { at: self.at, expecting }
    }
}
