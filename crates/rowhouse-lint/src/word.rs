//! The tokens of a piece of SQL without blanks and comments, compared without regard to case.

use squawk_syntax::{SyntaxElement, SyntaxNode, SyntaxToken};

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Lower case; a quoted identifier as it is without its quotes; a literal as it stands.
    pub(crate) text: String,
    pub(crate) kind: WordKind,
    /// Where it begins in the file, in bytes.
    pub(crate) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// A keyword or an identifier.
    Plain,
    /// An identifier in quotes, never a keyword.
    Quoted,
    /// A string.
    Literal,
    /// A number or punctuation.
    Symbol,
}

impl Word {
    fn new(token: &SyntaxToken) -> Self {
        let (text, at) = (token.text(), usize::from(token.text_range().start()));
        let first = text.chars().next().unwrap_or(' ');
        let (text, kind) = match first {
            '"' => (text.trim_matches('"').replace("\"\"", "\""), WordKind::Quoted),
            '\'' | '$' => (text.to_owned(), WordKind::Literal),
            _ if text.ends_with('\'') => (text.to_owned(), WordKind::Literal),
            _ if first.is_alphabetic() || first == '_' => (text.to_lowercase(), WordKind::Plain),
            _ => (text.to_owned(), WordKind::Symbol),
        };
        Self { text, kind, at }
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, WordKind::Plain | WordKind::Quoted)
    }

    pub(crate) fn is(&self, keyword: &str) -> bool {
        self.kind != WordKind::Quoted && self.text == keyword
    }
}

/// All words below a node, in order.
pub(crate) fn words(node: &SyntaxNode) -> Vec<Word> {
    let tokens = node.descendants_with_tokens().filter_map(SyntaxElement::into_token);
    tokens.filter(|token| !token.kind().is_trivia()).map(|token| Word::new(&token)).collect()
}

/// Whether the words follow each other anywhere.
pub(crate) fn has(words: &[Word], phrase: &[&str]) -> bool {
    position(words, phrase).is_some()
}

/// Where the words follow each other first.
pub(crate) fn position(words: &[Word], phrase: &[&str]) -> Option<usize> {
    words.windows(phrase.len()).position(|part| part.iter().zip(phrase).all(|(word, wanted)| word.is(wanted)))
}

/// The first word of each item in the first parentheses at or behind `from`; an expression counts as `(`.
pub(crate) fn listed(words: &[Word], from: usize) -> Vec<String> {
    let Some(open) = words.iter().skip(from).position(|word| word.is("(")).map(|at| at + from) else {
        return Vec::new();
    };
    let (mut depth, mut items, mut is_start) = (0_usize, Vec::new(), false);
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.text.as_str() {
            "(" if word.kind == WordKind::Symbol => {
                depth += 1;
                if is_start {
                    items.push("(".to_owned());
                }
                is_start = depth == 1;
                continue;
            }
            ")" if word.kind == WordKind::Symbol => depth -= 1,
            "," if depth == 1 => {
                is_start = true;
                continue;
            }
            _ if is_start => {
                let is_call = words.get(at + 1).is_some_and(|next| next.is("("));
                items.push(if is_call { "(".to_owned() } else { word.text.clone() });
            }
            _ => {}
        }
        is_start = false;
        if depth == 0 {
            break;
        }
    }
    items
}

/// The identifiers in any text, such as a function's body.
pub(crate) fn identifiers(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
