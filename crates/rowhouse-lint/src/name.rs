//! Names of relations, with the schema in which the runner's search path finds them.

use std::fmt;

use squawk_syntax::SyntaxNode;

use crate::word::{Word, words};

/// Where names without a schema lead to.
const FIRST_SCHEMA: &str = "public";
/// Words that may stand before a relation's name.
const BEFORE: [&str; 8] = ["only", "if", "not", "exists", "on", "table", "concurrently", "("];

/// A relation: `public.todos`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) schema: String,
    pub(crate) name: String,
}

impl Name {
    /// The first name below a node.
    pub(crate) fn of(node: &SyntaxNode) -> Option<Self> {
        Self::first(&words(node))
    }

    /// The name with which the words begin, behind words that cannot be one.
    pub(crate) fn first(words: &[Word]) -> Option<Self> {
        let start = words.iter().position(|word| !BEFORE.iter().any(|before| word.is(before)))?;
        let mut parts = vec![words.get(start).filter(|word| word.is_name())?.text.clone()];
        for pair in words[start + 1..].chunks(2) {
            match pair {
                [dot, part] if dot.is(".") && part.is_name() => parts.push(part.text.clone()),
                _ => break,
            }
        }
        Self::from_parts(parts)
    }

    /// What a string literal names: `'public.todos'`.
    pub(crate) fn in_literal(literal: &str) -> Option<Self> {
        let text = literal.trim_matches('\'');
        let parts = text.split('.').map(|part| match part.strip_prefix('"') {
            Some(quoted) => quoted.trim_end_matches('"').to_owned(),
            None => part.trim().to_lowercase(),
        });
        Self::from_parts(parts.collect())
    }

    fn from_parts(mut parts: Vec<String>) -> Option<Self> {
        let name = parts.pop().filter(|name| !name.is_empty())?;
        let schema = parts.pop().unwrap_or_else(|| FIRST_SCHEMA.to_owned());
        Some(Self { schema, name })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}
