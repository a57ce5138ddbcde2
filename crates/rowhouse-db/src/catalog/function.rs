//! Functions that the data API can call. Procedures, aggregates and trigger functions are never listed.

use super::QualifiedName;

/// One overload of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Where it is.
    pub name: QualifiedName,
    /// Input arguments in order.
    pub arguments: Vec<Argument>,
    /// `SETOF` or `TABLE`.
    pub returns_set: bool,
    /// The kind of one result.
    pub returns: Returns,
    /// Names of the columns of its rows, where it returns rows.
    pub columns: Vec<String>,
    /// Decides whether the call may write.
    pub volatility: Volatility,
    /// Its own settings (`create function … set`), (name, value). Some must be set before the call to bind it.
    pub settings: Vec<(String, String)>,
}

impl Function {
    /// True when the last argument takes any number of values.
    #[must_use]
    pub fn is_variadic(&self) -> bool {
        self.arguments.last().is_some_and(|argument| argument.variadic)
    }
}

/// One input argument.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Argument {
    /// Name; empty for the single unnamed argument.
    pub name: String,
    /// Type as SQL text, schema-qualified outside `pg_catalog`, without a length.
    pub type_name: String,
    /// Has no default.
    pub required: bool,
    /// Declared `VARIADIC`; `type_name` is then an array.
    pub variadic: bool,
}

impl Argument {
    /// The type to cast a value to: `bit` and `character` mean length 1 in a cast, but any length in an argument.
    #[must_use]
    pub fn cast_type(&self) -> &str {
        match self.type_name.as_str() {
            "bit" => "bit varying",
            "bit[]" => "bit varying[]",
            "character" => "character varying",
            "character[]" => "character varying[]",
            other => other,
        }
    }
}

/// The kind of a function's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returns {
    /// Nothing.
    Void,
    /// One value of a base type, enum, domain over one, or array.
    Scalar,
    /// A row: of a named composite type or table, or `record` for OUT and TABLE columns.
    Row(QualifiedName),
}

/// PostgreSQL's `provolatile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Always the same result.
    Immutable,
    /// Same result within a statement; does not write.
    Stable,
    /// May write.
    Volatile,
}
