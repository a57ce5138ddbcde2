//! A builder of SQL text with parameters.

use bytes::Bytes;
use rowhouse_db::catalog::QualifiedName;
use rowhouse_db::flight::Query;

/// A statement under construction.
#[derive(Debug, Default)]
pub(super) struct Sql {
    text: String,
    params: Vec<Option<Bytes>>,
    /// Rows that replace the plan's body.
    body: Option<Bytes>,
    /// Numbers of rows are inlined: the statement is planned without its parameters.
    writes_numbers: bool,
}

impl Sql {
    pub(super) fn new() -> Self {
        Self { text: String::with_capacity(512), params: Vec::with_capacity(8), ..Self::default() }
    }

    /// With `body` in place of the plan's rows.
    pub(super) fn with_body(body: Bytes) -> Self {
        Self { body: Some(body), ..Self::new() }
    }

    /// With numbers of rows written out.
    pub(super) fn with_numbers() -> Self {
        Self { writes_numbers: true, ..Self::new() }
    }

    /// A number of rows.
    pub(super) fn rows(&mut self, rows: i64) -> &mut Self {
        if self.writes_numbers { self.push(&rows.to_string()) } else { self.param(rows.to_string()) }
    }

    /// The rows of the request's body.
    pub(super) fn bind_body(&mut self, of_plan: &Bytes) -> &mut Self {
        let body = self.body.clone().unwrap_or_else(|| of_plan.clone());
        self.bind(Some(body))
    }

    pub(super) fn finish(self) -> Query {
        Query { sql: self.text.into(), params: self.params }
    }

    /// Constant text, or text from the catalog.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A quoted identifier.
    pub(super) fn ident(&mut self, name: &str) -> &mut Self {
        self.text.push('"');
        for (at, part) in name.split('"').enumerate() {
            if at > 0 {
                self.text.push_str("\"\"");
            }
            self.text.push_str(part);
        }
        self.text.push('"');
        self
    }

    pub(super) fn qualified(&mut self, name: &QualifiedName) -> &mut Self {
        self.ident(&name.schema).push(".").ident(&name.name)
    }

    /// A placeholder for `value`.
    pub(super) fn param(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        self.bind(Some(Bytes::copy_from_slice(value.as_ref())))
    }

    pub(super) fn bind(&mut self, value: Option<Bytes>) -> &mut Self {
        self.params.push(value);
        self.text.push('$');
        self.number(self.params.len())
    }

    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.text.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
        self
    }

    /// Writes each item with `separator` between.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &str,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.push(separator);
            }
            write(self, item);
        }
        self
    }
}
