//! Splits SQL text into statements, and finds those that a migration cannot contain. The rules are psql's
//! (`psqlscan.l`). Leaves parsing statements to PostgreSQL.

/// One statement of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Command<'a> {
    /// From its first word to before the semicolon.
    pub(super) text: &'a str,
    /// Line of the file on which it begins, from 1.
    pub(super) line: usize,
}

impl Command<'_> {
    /// Why a migration cannot contain this statement, if so.
    pub(super) fn objection(&self) -> Option<&'static str> {
        if self.text.starts_with('\\') {
            return Some("commands of psql are not SQL");
        }
        let words: Vec<String> = words(self.text).map(str::to_ascii_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["begin" | "commit" | "end" | "abort", ..]
            | ["start" | "prepare", "transaction", ..]
            | ["rollback"]
            | ["rollback", "and" | "prepared", ..] => Some(TRANSACTION),
            ["rollback", "work" | "transaction", rest @ ..] if rest.first() != Some(&"to") => {
                Some(TRANSACTION)
            }
            ["copy", ..] if words.windows(2).any(|pair| pair == ["from", "stdin"]) => Some(
                "rows that follow `copy … from stdin` are not SQL; write them as insert (pg_dump --inserts)",
            ),
            _ => None,
        }
    }
}

const TRANSACTION: &str = "a migration may not begin, commit or roll back a transaction: it runs in one of its own, or \
    outside of any where its first line is `-- rowhouse: no-transaction`";

/// The statements of a text, in order; comments and blanks between them are left out.
pub(super) fn split(sql: &str) -> Vec<Command<'_>> {
    let mut commands = Vec::new();
    let mut statement = Extent::default();
    for (token, from, to) in (Lexer { text: sql, at: 0 }) {
        match token {
            Token::Blank => {}
            Token::Symbol(b';') if statement.may_end() => {
                commands.extend(statement.command(sql));
                statement = Extent::default();
            }
            _ => statement.extend(token, &sql[from..to], from, to),
        }
    }
    commands.extend(statement.command(sql));
    commands
}

/// The words of a statement, without those in quotes and comments.
pub(super) fn words(sql: &str) -> impl Iterator<Item = &str> {
    (Lexer { text: sql, at: 0 })
        .filter(|(token, ..)| *token == Token::Word)
        .map(|(_, from, to)| &sql[from..to])
}

/// The comments of a text, each with the place where it begins, in bytes.
pub(super) fn comments(sql: &str) -> impl Iterator<Item = (usize, &str)> {
    let blanks = (Lexer { text: sql, at: 0 }).filter(|(token, ..)| *token == Token::Blank);
    let texts = blanks.map(|(_, from, to)| (from, sql[from..to].trim_end()));
    texts.filter(|(_, text)| !text.is_empty())
}

/// The statement being read.
#[derive(Default)]
struct Extent {
    start: Option<usize>,
    end: usize,
    parentheses: usize,
    /// Depth of `begin … end` and `case … end` in the SQL body of a function.
    blocks: usize,
    /// Its first four words; they tell `create or replace function`.
    head: Vec<String>,
}

impl Extent {
    fn extend(&mut self, token: Token, text: &str, from: usize, to: usize) {
        self.start.get_or_insert(from);
        self.end = to;
        match token {
            Token::Symbol(b'(') => self.parentheses += 1,
            Token::Symbol(b')') => self.parentheses = self.parentheses.saturating_sub(1),
            Token::Word => self.word(&text.to_ascii_lowercase()),
            _ => {}
        }
    }

    fn word(&mut self, word: &str) {
        if self.head.len() < 4 {
            self.head.push(word.to_owned());
        }
        let head: Vec<&str> = self.head.iter().map(String::as_str).collect();
        let routine = matches!(
            head.as_slice(),
            ["create", "function" | "procedure", ..] | ["create", "or", "replace", "function" | "procedure"]
        );
        if !routine || self.parentheses > 0 {
            return;
        }
        match word {
            "begin" => self.blocks += 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }

    fn may_end(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn command<'a>(&self, sql: &'a str) -> Option<Command<'a>> {
        let start = self.start?;
        let line = sql[..start].matches('\n').count() + 1;
        Some(Command { text: &sql[start..self.end], line })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// White space or a comment.
    Blank,
    Word,
    /// A quoted string or identifier, or one in dollars.
    Quoted,
    Symbol(u8),
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Lexer<'_> {
    type Item = (Token, usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let from = self.at;
        let rest = &self.text.as_bytes()[from..];
        let first = *rest.first()?;
        let (token, length) = match first {
            b if b.is_ascii_whitespace() => (Token::Blank, 1),
            b'-' if rest.starts_with(b"--") => (Token::Blank, until(rest, b"\n", 2)),
            b'/' if rest.starts_with(b"/*") => (Token::Blank, comment(rest)),
            b'e' | b'E' if rest.get(1) == Some(&b'\'') => (Token::Quoted, 1 + escaped(&rest[1..])),
            b'\'' => (Token::Quoted, until(rest, b"'", 1)),
            b'"' => (Token::Quoted, until(rest, b"\"", 1)),
            b'$' => dollars(rest),
            b if starts_word(b) => (Token::Word, rest.iter().take_while(|b| continues_word(**b)).count()),
            b => (Token::Symbol(b), 1),
        };
        self.at += length;
        Some((token, from, self.at))
    }
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// Length up to and with the first `end` after `skipped` bytes; without one, everything.
fn until(rest: &[u8], end: &[u8], skipped: usize) -> usize {
    let found = rest[skipped..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |at| skipped + at + end.len())
}

/// `/* … */`, which PostgreSQL lets nest.
fn comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// `'…'` in which a backslash escapes the next character.
fn escaped(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `$tag$ … $tag$`, or a lone dollar.
fn dollars(rest: &[u8]) -> (Token, usize) {
    let name = rest[1..].iter().take_while(|b| continues_word(**b) && **b != b'$').count();
    let is_tag = rest.get(1 + name) == Some(&b'$') && !rest[1].is_ascii_digit();
    if !is_tag {
        return (Token::Symbol(b'$'), 1);
    }
    let tag = &rest[..name + 2];
    (Token::Quoted, until(rest, tag, tag.len()))
}

#[cfg(test)]
mod tests;
