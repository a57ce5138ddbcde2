//! PostgreSQL's stored form of a parsed expression (`pg_node_tree`), read into a tree: `{OPEXPR :opno 98 :args ({VAR …} …)}`.
//! Leaves what the nodes mean to `expression`. Positions in the source text are left out, so that equal expressions are
//! equal trees.

/// Deepest nesting that is read; stored expressions of people are far below.
const MAX_DEPTH: usize = 1000;
/// Fields with positions in the source text.
const POSITIONS: &[&str] = &["location", "stmt_location", "stmt_len", "varnosyn", "varattnosyn"];

/// A node, a list, or a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Word(String),
    List(Vec<Node>),
    Record(Record),
}

/// `{NAME :field value …}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    fields: Vec<(String, Vec<Node>)>,
}

impl Node {
    /// None if the text has another form, or is nested too deeply.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text);
        let mut reader = Reader { tokens: &tokens, at: 0 };
        let node = reader.node(0)?;
        (reader.at == tokens.len()).then_some(node)
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        match self {
            Self::Record(record) => Some(record),
            _ => None,
        }
    }

    fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

impl Record {
    /// Everything that stands behind a field's name; most values are one node.
    pub(crate) fn values(&self, name: &str) -> &[Node] {
        self.fields.iter().find(|(field, _)| field == name).map_or(&[], |(_, values)| values)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Node> {
        self.values(name).first()
    }

    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.value(name)?.word()
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.word(name)?.parse().ok()
    }

    /// The members of a list; none for the null list.
    pub(crate) fn list(&self, name: &str) -> &[Node] {
        self.value(name).map_or(&[], Node::items)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &[Node])> {
        self.fields.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// The bytes of a constant, `17 [ 68 0 0 0 … ]`; numbers may be negative, where `char` has a sign.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let words = self.values(name).iter().skip(1).filter_map(Node::word);
        words.filter_map(|word| word.parse::<i16>().ok()).map(|number| number.to_le_bytes()[0]).collect()
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    /// One of `{}()`.
    Bracket(char),
    /// `:name`.
    Field(String),
    Word(String),
}

/// As `pg_strtok` divides: at white space and brackets, a backslash takes the next character as it is.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&first) = chars.peek() {
        match first {
            ' ' | '\n' | '\t' => drop(chars.next()),
            '{' | '}' | '(' | ')' => {
                chars.next();
                tokens.push(Token::Bracket(first));
            }
            _ => tokens.push(word(&mut chars)),
        }
    }
    tokens
}

fn word(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Token {
    let mut word = String::new();
    let is_field = chars.peek() == Some(&':');
    while let Some(&next) = chars.peek() {
        match next {
            ' ' | '\n' | '\t' | '{' | '}' | '(' | ')' => break,
            '\\' => {
                chars.next();
                word.extend(chars.next());
            }
            _ => word.extend(chars.next()),
        }
    }
    match word.strip_prefix(':').filter(|_| is_field) {
        Some(name) => Token::Field(name.to_owned()),
        None => Token::Word(word),
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<&Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn is_next(&self, bracket: char) -> bool {
        self.tokens.get(self.at) == Some(&Token::Bracket(bracket))
    }

    fn node(&mut self, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.next()? {
            Token::Bracket('{') => self.fields(depth).map(Node::Record),
            Token::Bracket('(') => self.items(depth).map(Node::List),
            Token::Bracket(_) => None,
            // Where a value has to stand, a colon begins an odd name.
            Token::Field(name) => Some(Node::Word(format!(":{name}"))),
            Token::Word(word) => Some(Node::Word(word.clone())),
        }
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        while !self.is_next(')') {
            items.push(self.node(depth + 1)?);
        }
        self.next();
        Some(items)
    }

    fn fields(&mut self, depth: usize) -> Option<Record> {
        let Some(Token::Word(name)) = self.next() else { return None };
        let mut record = Record { name: name.clone(), fields: Vec::new() };
        while !self.is_next('}') {
            let Some(Token::Field(field)) = self.next() else { return None };
            let field = field.clone();
            let mut values = vec![self.node(depth + 1)?];
            while !matches!(self.tokens.get(self.at)?, Token::Field(_) | Token::Bracket('}')) {
                values.push(self.node(depth + 1)?);
            }
            if !POSITIONS.contains(&field.as_str()) {
                record.fields.push((field, values));
            }
        }
        self.next();
        Some(record)
    }
}

#[cfg(test)]
mod tests;
